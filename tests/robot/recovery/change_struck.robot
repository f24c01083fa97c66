*** Settings ***
Documentation     One change of one pod's VM goes wrong, in each way that vCenter and the network know. The pod gets one VM
...               all the same, which goes with it. The hard case is an answer that was lost: its request was carried out.

Resource          ../../resources/wolfpack.resource

Suite Setup       Enter New Namespace
Suite Teardown    Clean Up
Test Teardown     Run Keywords    Keep Evidence Of Failure    AND    Remove Faults
Test Template     Pod Should Live And Go In Spite Of

Test Tags         require-stand-in    require-sim-guests


*** Test Cases ***         POD          METHOD            WHAT HAPPENS
Create Not Answered        create-1     CreateVM_Task     lose-answer
Create Reset               create-2     CreateVM_Task     reset
Create Without Session     create-3     CreateVM_Task     expire-session
Create On Locked File      create-4     CreateVM_Task     task-fault        fault=FileLocked
Create Without Space       create-5     CreateVM_Task     task-fault        fault=NoDiskSpace
Create Refused             create-6     CreateVM_Task     http-status
Power On Not Answered      start-1      PowerOnVM_Task    lose-answer
Power On Reset             start-2      PowerOnVM_Task    reset
Power On Of Locked Disk    start-3      PowerOnVM_Task    task-fault        fault=FileLocked
Power On At Lost Host      start-4      PowerOnVM_Task    task-fault        fault=HostCommunication
Power On Without Memory    start-5      PowerOnVM_Task    task-fault        fault=InsufficientMemoryResourcesFault
Power On Besides Others    start-6      PowerOnVM_Task    fault             fault=ConcurrentAccess
Shutdown Not Answered      stop-1       ShutdownGuest     lose-answer
Shutdown Refused           stop-2       ShutdownGuest     fault             fault=ToolsUnavailable
Destroy Not Answered       destroy-1    Destroy_Task      lose-answer
Destroy Reset              destroy-2    Destroy_Task      reset
Destroy During A Task      destroy-3    Destroy_Task      fault             fault=TaskInProgress
Destroy Of Locked File     destroy-4    Destroy_Task      task-fault        fault=FileLocked


*** Keywords ***
Pod Should Live And Go In Spite Of
    [Documentation]    Strikes the first request of the method that is for the pod's VM. A pod with two VMs is an error.
    [Arguments]    ${pod}    ${method}    ${what}    &{how}
    ${fault} =    Inject Fault    ${what}    method=${method}    object=${pod}-*    count=1    &{how}
    Apply Pod    ${pod}
    Wait Until Pod Is    ${pod}    Running
    Pod Field Should Be    ${pod}    .status.containerStatuses[0].restartCount    0
    ${vm} =    VM Of Pod    ${pod}
    Delete Pod    ${pod}
    Wait Until VM Is Gone    ${vm}
    Wait Until Fault Has Struck    ${fault}
    Wait Until Namespace Has VMs    0
