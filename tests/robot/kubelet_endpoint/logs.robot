*** Settings ***
Documentation     What a container wrote, as kubectl shows it. VIC showed nothing, and others show only the last lines, or
...               end a followed log at once.

Resource          ../../resources/wolfpack.resource

Suite Setup       Start Two Writers
Suite Teardown    Clean Up

Test Tags         require-sim-guests


*** Test Cases ***
All Lines
    ${namespace} =    Pod Field    quiet    .metadata.namespace
    ${log} =    Log Of Pod    quiet
    Should Be Equal    ${log}    container main of pod ${namespace}/quiet started\none\ntwo\nthree\n

Last Lines
    ${log} =    Log Of Pod    quiet    --tail\=2
    Should Be Equal    ${log}    two\nthree\n

Times
    ${log} =    Log Of Pod    quiet    --timestamps    --tail\=1
    Should Match Regexp    ${log}    ^\\d{4}-\\d\\d-\\d\\dT\\S+Z three\n$

Only What Is New
    ${log} =    Log Of Pod    quiet    --since-time\=2100-01-01T00:00:00Z
    Should Be Empty    ${log}

Limited
    ${log} =    Log Of Pod    quiet    --limit-bytes\=9
    Should Be Equal    ${log}    container

Followed
    [Documentation]    Lines that are written after the client began to read appear while it reads.
    ${lines} =    Follow Log Of Pod    busy    lines=5
    Should Start With    ${lines}[0]    container main of pod
    Should Be Equal    ${lines}[4]    line 4

Of A Run That There Was Not
    Log Of Pod Fails    quiet    previous terminated container "main" in pod "quiet" not found    --previous

After The End
    [Documentation]    A followed log ends with its container.
    Apply Pod    brief    restart_policy=Never    sim.wolfpack/exit-after=2s    sim.wolfpack/exit-code=3
    Wait Until Pod Is    brief    Running
    ${lines} =    Follow Log Of Pod    brief
    Should Be Equal    ${lines}[-1]    container main exited with code 3


*** Keywords ***
Start Two Writers
    [Documentation]    Starts a pod that writes four lines and then nothing, and one that goes on writing.
    Enter New Namespace
    Apply Pod    quiet    sim.wolfpack/log=one\ntwo\nthree
    Apply Pod    busy    sim.wolfpack/log-every=300ms
    Wait Until Pod Is    quiet    Running
    Wait Until Pod Is    busy    Running
