*** Settings ***
Documentation    What an admin has to mend: the pod waits and says why, and goes on by itself once it is mended.

Resource         ../../resources/recovery.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-stand-in    require-sim-guests


*** Test Cases ***
Datastore Without Space For One Pod
    ${fault} =    Inject Fault    task-fault    method=CreateVM_Task    object=full-*    fault=NoDiskSpace
    Apply Pod    full
    Wait Until Pod Says    full    NoDiskSpace
    Wait Until Fault Has Struck    ${fault}    times=2
    Pod Field Should Be    full    .status.phase    Pending
    Remove Faults
    Wait Until Pod Is    full    Running

Right That Is Missing
    [Documentation]    The provider's role in vCenter lacks a privilege. That is no fault of the pod's.
    ${fault} =    Inject Fault    fault    method=CreateVM_Task    object=denied-*    fault=NoPermission
    Apply Pod    denied
    Wait Until Pod Says    denied    NoPermission
    Wait Until Fault Has Struck    ${fault}    times=2
    Pod Field Should Be    denied    .status.phase    Pending
    Remove Faults
    Wait Until Pod Is    denied    Running

VM Suspended By Somebody
    [Documentation]    Until the VM is resumed, its pod is not ready; it gets no other VM, and nothing in it is restarted.
    Apply Pod    asleep
    Wait Until Pod Is    asleep    Running
    ${vm} =    VM Of Pod    asleep
    Govc    vm.power    -suspend    ${vm}
    Wait Until Pod Is Not Ready    asleep    VMSuspended
    Pod Field Should Be    asleep    .status.phase    Running
    Govc    vm.power    -on    ${vm}
    Wait Until Pod Is    asleep    Running
    Pod Should Have Been Left In Peace    asleep    ${vm}

Task That Never Ends
    [Documentation]    A pod whose VM is never done powering on can be deleted, and others are not kept waiting.
    ${fault} =    Inject Fault    task-stuck    method=PowerOnVM_Task    object=stuck-*    count=1
    Apply Pod    stuck
    Wait Until Fault Has Struck    ${fault}
    Apply Pod    other
    Wait Until Pod Is    other    Running
    ${vm} =    VM Of Pod    stuck
    Delete Pod    stuck
    Wait Until VM Is Gone    ${vm}

Session That Ends Again And Again
    [Documentation]    Half of the node's requests find that the session is over. All that is asked for is done.
    ${node} =    Start Node Of A New VCH
    Inject Fault    expire-session    node=${node}    probability=0.5    seed=1    method=*VM_Task
    Apply Pod    web    node=${node}
    Apply Pod    db    node=${node}
    Wait Until Pod Is    web    Running
    Wait Until Pod Is    db    Running
    Delete Pod    web
    Wait Until Namespace Has VMs    1
