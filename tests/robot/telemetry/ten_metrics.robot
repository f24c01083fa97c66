*** Settings ***
Documentation     Each metric is compared with what govc counts from paths and names.

Resource          ../../resources/telemetry.resource
Resource          ../../resources/wolfpack.resource

Suite Setup       Have Pods Of Two Guest OSes
Suite Teardown    Clean Up
Test Template     Counts Should Agree With Govc

Test Tags         require-stand-in


*** Test Cases ***       WHAT
ESX Hosts Of Clusters    hosts of clusters
Versions Of ESX Hosts    versions of hosts
Version Of VCenter       vCenter
VMs In All               VMs
VCHs By Version          VCHs
Container VMs By OS      container VMs
VCHs Of Hosts            VCHs of hosts
Container VMs Of VCHs    container VMs of VCHs


*** Keywords ***
Have Pods Of Two Guest OSes
    [Documentation]    What there is to count: pods of two guest OSes beside their endpoint VM.
    Enter New Namespace
    Apply Pod    photon
    Apply Pod    redhat    wolfpack.guest-os=redhat
    Wait Until Pod Is    photon    Running
    Wait Until Pod Is    redhat    Running
