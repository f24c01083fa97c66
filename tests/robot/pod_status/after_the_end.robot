*** Settings ***
Documentation    What is left of a pod that has ended, or whose deletion somebody holds up: its status, for whoever needs to
...              read it; its VM no longer than it is of use.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-sim-guests


*** Test Cases ***
Deleted Pod With A Finalizer
    [Documentation]    Its VM goes at once. Its object stays, and says how it ended, until the finalizer is taken away.
    Apply Pod    web    finalizer=wolfpack.test/read
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Start Deleting Pod    web
    Wait Until VM Is Gone    ${vm}
    Wait Until Pod Is    web    Succeeded
    Pod Field Should Be    web    .status.containerStatuses[0].state.terminated.exitCode    0
    Release Pod    web
    Wait Until Pod Is Gone    web
    [Teardown]    Run Keywords    Release Pod    web    AND    Clean Up

Ended Pod Whose VM Is Kept
    [Documentation]    By default for five minutes, and so for longer than another pod takes to come. Its log can be read.
    Apply Pod    job    restart_policy=Never    sim.wolfpack/exit-code=0
    Wait Until Pod Is    job    Succeeded
    ${vm} =    VM Of Pod    job
    Apply Pod    other
    Wait Until Pod Is    other    Running
    VM Field Should Be    ${vm}    runtime.powerState    poweredOn
    ${log} =    Log Of Pod    job
    Should Not Be Empty    ${log}

Ended Pod Whose VM Is Not Kept
    [Documentation]    The VM gives back what it held. How the pod ended is still known.
    ${vch} =    Create Own VCH
    ${node} =    Start Own Node    ${vch}    --keep-finished-vms    0s
    Apply Pod    job    node=${node}    restart_policy=Never    sim.wolfpack/exit-code=3
    ${vm} =    VM Of Pod    job
    Wait Until VM Field Is    ${vm}    runtime.powerState    poweredOff
    Wait Until Pod Says    job    Powered off VM ${vm.name}
    Pod Field Should Be    job    .status.phase    Failed
    Pod Field Should Be    job    .status.containerStatuses[0].state.terminated.exitCode    3
