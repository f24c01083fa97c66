*** Settings ***
Documentation     How a pod ended is what its owner needs to know most; VIC called every stopped container a success.

Resource          ../../resources/wolfpack.resource

Suite Setup       Enter New Namespace
Suite Teardown    Clean Up
Test Teardown     Keep Evidence Of Failure
Test Template     Pod That Exits Should Be

Test Tags         require-sim-guests


*** Test Cases ***     CODE    PHASE
Success                0       Succeeded
Failure                1       Failed
Code Of The Program    3       Failed
Code Of A Signal       137     Failed


*** Keywords ***
Pod That Exits Should Be
    [Documentation]    A pod whose container exits with a code ends in a phase and tells the code.
    [Arguments]    ${code}    ${phase}
    ${pod} =    Apply Pod    exit-${code}    restart_policy=Never    sim.wolfpack/exit-code=${code}
    Wait Until Pod Is    ${pod}    ${phase}
    Pod Field Should Be    ${pod}    .status.containerStatuses[0].state.terminated.exitCode    ${code}
