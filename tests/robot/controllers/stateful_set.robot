*** Settings ***
Documentation    The pods of a StatefulSet have names, and what they keep goes by the name: there must never be two machines
...              of one name. vCenter's journal of requests shows what was done, and in which order.

Resource         ../../resources/controllers.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-stand-in    require-sim-guests


*** Test Cases ***
Started In Order
    [Documentation]    A VM is made once the guest of the one before has reported that it is ready.
    Apply Stateful Set    db    2
    ${pods}    ${vms} =    Two Pods Of    db
    VCenter Should Have Been Asked In Order
    ...    CreateVM_Task of ${vms[0].name}
    ...    PowerOnVM_Task of ${vms[0].name}
    ...    CreateVM_Task of ${vms[1].name}
    ...    PowerOnVM_Task of ${vms[1].name}
    Should Be Equal    ${pods[0].name}    db-0

Replaced Under The Same Name
    Apply Stateful Set    db    1
    ${old}    ${old_vm} =    Only Pod Of    db
    Start Deleting Pod    ${old}
    Wait Until VM Is Gone    ${old_vm}
    ${new}    ${new_vm} =    Only Pod Of    db
    Should Be Equal    ${new.name}    ${old.name}
    VCenter Should Have Been Asked In Order    Destroy_Task of ${old_vm.name}    CreateVM_Task of ${new_vm.name}

Not Replaced Before Its VM Is Gone
    [Documentation]    vCenter cannot remove the VM for a while: the pod stays, and none takes its name.
    Apply Stateful Set    db    1
    ${pod}    ${vm} =    Only Pod Of    db
    ${fault} =    Inject Fault    task-fault    method=Destroy_Task    object=${vm.name}    fault=FileLocked
    Start Deleting Pod    ${pod}
    Wait Until Fault Has Struck    ${fault}    times=2
    Pod Field Should Be    ${pod}    .metadata.uid    ${pod.uid}
    Wait Until Namespace Has VMs    1
    Remove Faults
    Wait Until VM Is Gone    ${vm}
    Only Pod Of    db
