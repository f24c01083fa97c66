*** Settings ***
Documentation    A pod that asks for a guest OS that does not exist is told which there are, and gets no VM of some other.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
Misspelt
    Apply Pod    web    wolfpack.guest-os=phton
    Wait Until Pod Says    web    wolfpack.guest-os    "phton"    photon, redhat, windows
    Wait Until Namespace Has VMs    0

Malformed
    Apply Pod    web    wolfpack.guest-os=Photon - VCH v1, 2
    Wait Until Pod Says    web    wolfpack.guest-os    photon, redhat, windows
    Wait Until Namespace Has VMs    0
