*** Settings ***
Documentation    vCenter takes its time. All that is asked for is done, and done once: late is not lost.

Resource         ../../resources/recovery.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up
Test Template    Pods Should Live And Go In Spite Of

Test Tags        require-stand-in    require-sim-guests


*** Test Cases ***    WHAT HAPPENS
Requests Late         delay
Answers Late          delay-answer


*** Keywords ***
Pods Should Live And Go In Spite Of
    [Documentation]    Each request of a node takes two seconds. Its pods run, with one VM each, and go when deleted.
    [Arguments]    ${what}
    ${node} =    Start Node Of A New VCH
    Inject Fault    ${what}    node=${node}    delay=2s
    Apply Pod    web    node=${node}
    Apply Pod    db    node=${node}
    Wait Until Pod Is    web    Running
    Wait Until Pod Is    db    Running
    Wait Until Namespace Has VMs    2
    Kubectl    wait    --for\=condition\=VSphereReachable    node/${node}    --timeout\=0
    Delete Pod    web
    Wait Until Namespace Has VMs    1
