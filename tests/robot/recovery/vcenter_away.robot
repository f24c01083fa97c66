*** Settings ***
Documentation    vCenter is away: the node says so and stays Ready, a pod that runs is left in peace, a new one waits, and
...              when vCenter is back, work resumes by itself. Only the requests of a node of the test's own are struck.

Resource         ../../resources/recovery.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up
Test Template    Node Should Outlast

Test Tags        require-stand-in    require-sim-guests


*** Test Cases ***       WHAT HAPPENS
Down Behind Its Proxy    http-status
Overloaded               http-status     status=429                retryAfter=1s
Connections Reset        reset
Every Answer Lost        lose-answer
Restarting               fault           fault=SystemError
Logins Refused           fault           fault=NotAuthenticated


*** Keywords ***
Node Should Outlast
    [Documentation]    While every request of the node goes wrong, a new pod waits and an old one runs; then both run.
    [Arguments]    ${what}    &{how}
    ${node}    ${vm} =    Start Node And Pod
    Inject Fault    ${what}    node=${node}    &{how}
    VSphere Should Become Unreachable    ${node}    ${vm}
    New Pod Should Wait    ${node}
    Remove Faults
    VSphere Should Become Reachable    ${node}
    Both Pods Should Run    ${vm}

Start Node And Pod
    [Documentation]    Starts a node of the test's own and a pod on it. Returns the node's name and the pod's VM.
    ${node} =    Start Node Of A New VCH
    Apply Pod    old    node=${node}
    Wait Until Pod Is    old    Running
    ${vm} =    VM Of Pod    old
    RETURN    ${node}    ${vm}

New Pod Should Wait
    [Documentation]    A pod that comes now is Pending and says why; the one that was there keeps its status.
    [Arguments]    ${node}
    Apply Pod    new    node=${node}
    Wait Until Pod Says    new    create the VM
    Pod Field Should Be    new    .status.phase    Pending
    Pod Field Should Be    old    .status.phase    Running

Both Pods Should Run
    [Documentation]    Each pod has one VM, and the old pod's is what it was and was not restarted.
    [Arguments]    ${vm}
    Wait Until Pod Is    new    Running
    Wait Until Namespace Has VMs    2
    Pod Should Have Been Left In Peace    old    ${vm}
