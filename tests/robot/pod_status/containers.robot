*** Settings ***
Documentation    Pods of more than one kind of container: what each of them is told to be doing.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-sim-guests


*** Variables ***
${INIT}           .status.initContainerStatuses[0]
${MAIN}           .status.containerStatuses[0]
${INITIALIZED}    .status.conditions[?(@.type=="Initialized")]


*** Test Cases ***
Init Container At Work
    [Documentation]    The pod waits for it, and says so: it is not as if nothing had begun.
    Apply Pod    web    init_containers=prepare    sim.wolfpack/start-delay=1h
    Wait Until Pod Field Is    web    ${INIT}.started    true
    Pod Field Should Be    web    .status.phase    Pending
    Pod Field Should Be    web    ${INITIALIZED}.status    False
    Pod Field Should Be    web    ${INITIALIZED}.reason    ContainersNotInitialized
    Pod Field Should Be    web    ${MAIN}.state.waiting.reason    PodInitializing

Init Container Done
    Apply Pod    web    init_containers=prepare
    Wait Until Pod Is    web    Running
    Pod Field Should Be    web    ${INITIALIZED}.status    True
    Pod Field Should Be    web    ${INIT}.state.terminated.reason    Completed
    Pod Field Should Be    web    ${INIT}.state.terminated.exitCode    0

Sidecar Beside The Others
    [Documentation]    It started before them and runs as they do.
    Apply Pod    web    sidecars=proxy
    Wait Until Pod Is    web    Running
    Pod Field Should Be    web    ${INIT}.ready    true
    ${since} =    Pod Field    web    ${INIT}.state.running.startedAt
    Should Not Be Empty    ${since}

Sidecar Of What Is Restarted
    [Documentation]    A container that exits is started again. The sidecar runs on.
    Apply Pod    web    sidecars=proxy    sim.wolfpack/exit-after=1s    sim.wolfpack/exit-code=3
    Wait Until Pod Field Is    web    ${MAIN}.restartCount    1
    Pod Field Should Be    web    ${INIT}.restartCount    0
    Pod Field Should Be    web    ${INIT}.ready    true

Sidecar Of What Has Ended
    [Documentation]    It ends with the others, and does not keep the pod from being a success.
    Apply Pod    job    sidecars=proxy    restart_policy=Never    sim.wolfpack/exit-code=0
    Wait Until Pod Is    job    Succeeded
    Pod Field Should Be    job    ${INIT}.state.terminated.exitCode    0
