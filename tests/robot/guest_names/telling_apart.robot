*** Settings ***
Documentation     Who reads a vCenter's inventory can count hosts and pods with one query each, by guest name alone.

Resource          ../../resources/wolfpack.resource

Suite Setup       Apply Pods Of Each Guest OS
Suite Teardown    Clean Up


*** Test Cases ***
Query For VCHs
    ${endpoint} =    Endpoint VM
    ${pod} =    VM Of Pod    photon
    ${found} =    VMs With Guest Name    * - VCH *
    Should Contain    ${found}    ${endpoint.path}
    Should Not Contain    ${found}    ${pod.path}

Query For Pods
    ${endpoint} =    Endpoint VM
    ${pod} =    VM Of Pod    redhat
    ${found} =    VMs With Guest Name    * - Container *
    Should Contain    ${found}    ${pod.path}
    Should Not Contain    ${found}    ${endpoint.path}

Query For One Guest OS
    ${pod} =    VM Of Pod    redhat
    ${other} =    VM Of Pod    photon
    ${found} =    VMs With Guest Name    Redhat - Container *
    Should Contain    ${found}    ${pod.path}
    Should Not Contain    ${found}    ${other.path}


*** Keywords ***
Apply Pods Of Each Guest OS
    [Documentation]    Two pods that differ in nothing but their guest OS.
    Enter New Namespace
    Apply Pod    photon
    Apply Pod    redhat    wolfpack.guest-os=redhat
