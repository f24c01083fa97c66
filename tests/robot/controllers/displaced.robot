*** Settings ***
Documentation    Pods that Kubernetes takes off a node for others, for its admin or for a taint. Their VMs go, and no other.

Resource         ../../resources/controllers.resource
Resource         ../../resources/recovery.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Variables ***
${DISRUPTION}    .status.conditions[?(@.type=="DisruptionTarget")].reason


*** Test Cases ***
By A Pod Of Higher Priority
    [Documentation]    The node takes one pod. The other one's VM is made when there is room for it.
    [Tags]    require-stand-in
    ${node} =    Start Node Of One Pod
    Apply Pod    low    node=${node}
    Wait Until Pod Is    low    Running
    ${low} =    VM Of Pod    low
    Apply Pod    high    node=${node}    priority_class=system-cluster-critical
    Wait Until Pod Is    high    Running
    ${high} =    VM Of Pod    high
    Wait Until VM Is Gone    ${low}
    VCenter Should Have Been Asked In Order    Destroy_Task of ${low.name}    CreateVM_Task of ${high.name}

By Eviction
    [Documentation]    It is refused as long as the pod is the last one that its budget asks for.
    Apply Disruption Budget    web    min_available=1
    Apply Pod    web-1    labels=app=web
    Wait Until Controller Field Is    pdb/web    .status.currentHealthy    1
    Eviction Should Be Refused    web-1
    Apply Pod    web-2    labels=app=web
    Wait Until Controller Field Is    pdb/web    .status.disruptionsAllowed    1
    ${vms} =    VMs Of Pods    web-1    web-2
    Evict Pod    web-1
    Wait Until VM Is Gone    ${vms}[0]
    Pod Should Have Been Left In Peace    web-2    ${vms}[1]

Reason Told
    [Documentation]    Why a pod had to go is said by others than its guest, and still there when its VM is gone.
    [Tags]    require-sim-guests
    Apply Pod    web    finalizer=wolfpack.test/read
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Evict Pod    web
    Wait Until VM Is Gone    ${vm}
    Wait Until Pod Is    web    Succeeded
    Pod Field Should Be    web    ${DISRUPTION}    EvictionByEvictionAPI
    [Teardown]    Run Keywords    Release Pod    web    AND    Clean Up

By A Taint
    [Documentation]    Pods that do not tolerate it go at once; one that does is left in peace.
    ${node} =    Start Node Of A New VCH
    Apply Pod    web    node=${node}
    Apply Pod    agent    node=${node}    tolerates=maintenance=tonight:NoExecute
    Wait Until Pod Is    web    Running
    Wait Until Pod Is    agent    Running
    ${vms} =    VMs Of Pods    web    agent
    Kubectl    taint    node    ${node}    maintenance\=tonight:NoExecute
    Wait Until VM Is Gone    ${vms}[0]
    Pod Should Have Been Left In Peace    agent    ${vms}[1]
