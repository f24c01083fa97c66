*** Settings ***
Documentation    Pods are told apart by their UID: names are used again, in other namespaces and over time.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
Same Name In Two Namespaces
    ${first} =    Apply Pod    web
    Enter New Namespace
    ${second} =    Apply Pod    web
    ${vm} =    VM Of Pod    ${first}
    ${other} =    VM Of Pod    ${second}
    Should Not Be Equal    ${vm.reference}    ${other.reference}

Same Name Again
    [Documentation]    A pod that takes the name of one that was deleted gets a VM of its own, and the old one goes.
    ${first} =    Apply Pod    web
    ${vm} =    VM Of Pod    ${first}
    Delete Pod    ${first}
    ${second} =    Apply Pod    web
    Wait Until Pod Is    ${second}    Running
    Wait Until VM Is Gone    ${vm}

Deployment Scaled Up And Down
    Apply Deployment    web    1
    Scale Deployment    web    3
    Wait Until Namespace Has VMs    3
    Scale Deployment    web    1
    Wait Until Namespace Has VMs    1
    Scale Deployment    web    0
    Wait Until Namespace Has VMs    0
