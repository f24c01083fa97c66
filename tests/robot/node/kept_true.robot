*** Settings ***
Documentation    The node says what is true of its VCH, while that changes, and stays what it is when somebody changes it.

Resource         ../../resources/wolfpack.resource
Library          wolfpack_tests.nodes.Nodes    AS    Nodes

Test Teardown    Clean Up


*** Variables ***
${PRESSURE}    .spec.taints[?(@.key=="node.kubernetes.io/disk-pressure")].effect
${TAINT}       .spec.taints[?(@.key=="virtual-kubelet.io/provider")].value


*** Test Cases ***
Capacity Of A Limited Pool
    [Documentation]    An admin gives the VCH less memory, and then more: the node follows without a restart.
    ${node} =    Start Node Of A New VCH
    ${pool} =    Pool Of VCH    ${node}
    Govc    pool.change    -mem.limit    1024    ${pool}
    Wait Until Node Field Is    ${node}    .status.capacity.memory    1Gi
    Govc    pool.change    -mem.limit    2048    ${pool}
    Wait Until Node Field Is    ${node}    .status.capacity.memory    2Gi

Host In Maintenance
    [Documentation]    The VCH's one host is taken away and comes back. The node says so, and loses nothing else.
    [Tags]    require-stand-in
    ${vch} =    Create Own VCH    --compute    DC0_H0
    ${node} =    Start Own Node    ${vch}
    Condition Should Be    ${node}    VSphereReachable    True
    ${memory} =    Node Field    ${node}    .status.capacity.memory
    Govc    host.maintenance.enter    DC0_H0
    Wait Until Node Field Is    ${node}    .status.capacity.memory    0
    Condition Should Be    ${node}    MemoryPressure    True
    Govc    host.maintenance.exit    DC0_H0
    Wait Until Node Field Is    ${node}    .status.capacity.memory    ${memory}
    Condition Should Be    ${node}    MemoryPressure    False
    [Teardown]    Run Keywords    Govc    host.maintenance.exit    DC0_H0    AND    Clean Up

Datastore Without Space
    [Documentation]    Kubernetes itself keeps new pods away by its own taint, for as long as there is no space.
    [Tags]    require-stand-in    require-sim-guests
    Enter New Namespace
    ${node} =    Start Node Of A New VCH
    Fill Datastore Of VCH    ${node}
    Condition Should Be    ${node}    DiskPressure    True
    Wait Until Node Field Is    ${node}    ${PRESSURE}    NoSchedule
    Apply Pod    waiting    node=${node}
    Wait Until Pod Says    waiting    untolerated taint
    Remove Faults
    Condition Should Be    ${node}    DiskPressure    False
    Wait Until Pod Is    waiting    Running

Conditions
    ${node} =    Start Node Of A New VCH
    Condition Should Be    ${node}    Ready    True
    Condition Should Be    ${node}    VSphereReachable    True
    Condition Should Be    ${node}    MemoryPressure    False
    Condition Should Be    ${node}    DiskPressure    False
    Condition Should Be    ${node}    PIDPressure    False
    Condition Should Be    ${node}    NetworkUnavailable    False

Taint Put Back
    [Documentation]    Without the taint, pods that know nothing of virtual nodes would be put there.
    ${node} =    Start Node Of A New VCH
    Kubectl    taint    node    ${node}    virtual-kubelet.io/provider-
    Wait Until Node Field Is    ${node}    ${TAINT}    wolfpack

Cordon Respected
    ${node} =    Start Node Of A New VCH
    Kubectl    cordon    ${node}
    Kubectl    taint    node    ${node}    virtual-kubelet.io/provider-
    Wait Until Node Field Is    ${node}    ${TAINT}    wolfpack
    Wait Until Node Field Is    ${node}    .spec.unschedulable    true

Deleted By Somebody
    ${node} =    Start Node Of A New VCH
    ${uid} =    Node Field    ${node}    .metadata.uid
    Kubectl    delete    node    ${node}
    Wait Until Node Is Another    ${node}    ${uid}

Version That Kubernetes Compares
    ${node} =    Start Node Of A New VCH
    ${version} =    Node Field    ${node}    .status.nodeInfo.kubeletVersion
    Should Match Regexp    ${version}    ^v1\\.\\d+\\.\\d+-wolfpack-


*** Keywords ***
Start Node Of A New VCH
    [Documentation]    Makes a virtual container host and a node of the same name for it. Returns the name.
    ${vch} =    Create Own VCH
    ${node} =    Start Own Node    ${vch}
    RETURN    ${node}

Condition Should Be
    [Documentation]    A condition of the node has this status.
    [Arguments]    ${node}    ${condition}    ${status}
    Wait Until Node Field Is    ${node}    .status.conditions[?(@.type\=\="${condition}")].status    ${status}

Fill Datastore Of VCH
    [Documentation]    Leaves no space on the datastore that a virtual container host uses, until `Remove Faults`.
    [Arguments]    ${vch}
    ${vm} =    Endpoint VM    ${vch}
    Inject Fault    full-datastore    object=${vm.datastore}
