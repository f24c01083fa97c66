*** Settings ***
Documentation    vSphere is the only database: a provider that starts again finds its pods there. One that does not know
...              them would make every VM a second time, which is what VIC's did.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
Pod Keeps Its VM
    ${node} =    Start Node Of A New VCH
    Apply Pod    web    node=${node}
    Wait Until Pod Is    web    Running
    ${before} =    VM Of Pod    web
    Stop Own Node    ${node}
    Start Own Node Again    ${node}
    Wait Until Pod Is    web    Running
    ${after} =    VM Of Pod    web
    Should Be Equal    ${after.reference}    ${before.reference}
    Wait Until Namespace Has VMs    1

Stopped While It Makes A Pod
    [Documentation]    Wherever the first run was interrupted, the second one completes the pod with one VM.
    ${node} =    Start Node Of A New VCH
    Apply Pod    web    node=${node}
    VM Of Pod    web
    Stop Own Node    ${node}
    Start Own Node Again    ${node}
    Wait Until Pod Is    web    Running
    Wait Until Namespace Has VMs    1

Pod Deleted Meanwhile
    ${node} =    Start Node Of A New VCH
    Apply Pod    web    node=${node}
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Stop Own Node    ${node}
    Start Deleting Pod    web
    Start Own Node Again    ${node}
    Wait Until VM Is Gone    ${vm}

Pod Ended Meanwhile
    [Tags]    require-sim-guests
    ${node} =    Start Node Of A New VCH
    Apply Pod    job    node=${node}    restart_policy=Never    sim.wolfpack/exit-after=5s    sim.wolfpack/exit-code=3
    Wait Until Pod Is    job    Running
    ${vm} =    VM Of Pod    job
    Stop Own Node    ${node}
    Wait Until Guest Reports    ${vm}    Failed
    Start Own Node Again    ${node}
    Wait Until Pod Is    job    Failed
    Pod Field Should Be    job    .status.containerStatuses[0].state.terminated.exitCode    3


*** Keywords ***
Start Node Of A New VCH
    [Documentation]    Makes a virtual container host and a node for it that the test may stop. Returns the node's name.
    ${vch} =    Create Own VCH
    ${node} =    Start Own Node    ${vch}
    RETURN    ${node}
