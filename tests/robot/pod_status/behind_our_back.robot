*** Settings ***
Documentation    Whoever may touch VMs in vCenter can do to a pod's VM whatever they like. The pod tells what became of
...              it, and an event names the VM.

Resource         ../../resources/recovery.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Start Pod
Test Teardown    Clean Up


*** Test Cases ***
Powered Off
    [Documentation]    Nothing brings a pod back whose machine is off; its controller makes another.
    ${vm} =    VM Of Pod    web
    Govc    vm.power    -off    ${vm}
    Wait Until Pod Is    web    Failed
    Pod Field Should Be    web    .status.reason    VMPoweredOff
    Wait Until Pod Says    web    ${vm.name}    powered off

Destroyed
    [Documentation]    A VM that runs cannot be destroyed: govc powers it off first, and that may be heard of on its own.
    ${vm} =    VM Of Pod    web
    Govc    vm.destroy    ${vm}
    Wait Until Pod Is    web    Failed
    ${reason} =    Pod Field    web    .status.reason
    Should Match Regexp    ${reason}    ^VM(PoweredOff|Gone)$
    Wait Until Pod Says    web    ${vm.name}    Wolfpack did not

Destroyed While No Provider Ran
    ${node} =    Start Node Of A New VCH
    Apply Pod    db    node=${node}
    Wait Until Pod Is    db    Running
    ${vm} =    VM Of Pod    db
    Stop Own Node    ${node}
    Govc    vm.destroy    ${vm}
    Start Own Node Again    ${node}
    Wait Until Pod Is    db    Failed
    Pod Field Should Be    db    .status.reason    VMGone
    Wait Until Pod Says    db    went from vSphere while no provider ran

Reset
    [Documentation]    The guest boots anew and runs the pod again, which counts as a restart.
    ${vm} =    VM Of Pod    web
    Govc    vm.power    -reset    ${vm}
    Wait Until Pod Says    web    ${vm.name}    reset
    Wait Until Pod Field Is    web    .status.containerStatuses[0].restartCount    1
    Wait Until Pod Is    web    Running

Moved To Another Folder
    [Documentation]    The VM runs on, so that its pod must not be Failed: another would be made. It goes with its pod.
    ${vm} =    VM Of Pod    web
    ${folder} =    Folder Of VMs
    Govc    object.mv    ${vm}    ${folder}
    Wait Until Pod Says    web    ${vm.name}    moved
    Pod Field Should Be    web    .status.phase    Running
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}


*** Keywords ***
Start Pod
    [Documentation]    Starts the pod web and waits until it runs.
    Enter New Namespace
    Apply Pod    web
    Wait Until Pod Is    web    Running

Folder Of VMs
    [Documentation]    The datacenter's own folder of VMs, which the folder of the VCH is in.
    ${endpoint} =    Endpoint VM
    ${folder} =    Evaluate    $endpoint.folder.rsplit("/", 1)[0]
    RETURN    ${folder}
