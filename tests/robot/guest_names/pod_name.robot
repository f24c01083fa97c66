*** Settings ***
Documentation     A pod's VM is named for the guest OS that boots in it, which the pod may choose.

Resource          ../../resources/guest_names.resource
Resource          ../../resources/wolfpack.resource

Suite Setup       Enter New Namespace
Suite Teardown    Clean Up
Test Teardown     Keep Evidence Of Failure
Test Template     Pod Should Be Named


*** Test Cases ***    POD         PRODUCT                ANNOTATION
Default Guest OS      silent      Photon - Container
Photon                photon      Photon - Container     wolfpack.guest-os=photon
Red Hat               redhat      Redhat - Container     wolfpack.guest-os=redhat
Windows               windows     Windows - Container    wolfpack.guest-os=windows
Any Case              any-case    Redhat - Container     wolfpack.guest-os=RedHat


*** Keywords ***
Pod Should Be Named
    [Documentation]    A pod with these annotations gets a VM with the guest name of this product.
    [Arguments]    ${name}    ${product}    &{annotations}
    Apply Pod    ${name}    &{annotations}
    ${vm} =    VM Of Pod    ${name}
    Guest Name Should Be    ${vm}    ${product}
