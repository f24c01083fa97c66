*** Settings ***
Documentation    The node says what is true of its VCH, while that changes, and stays what it is when somebody changes it.

Resource         ../../resources/wolfpack.resource
Library          wolfpack_tests.nodes.Nodes    AS    Nodes

Test Teardown    Clean Up


*** Variables ***
${TAINT}    .spec.taints[?(@.key=="virtual-kubelet.io/provider")].value


*** Test Cases ***
Capacity Of A Limited Pool
    [Documentation]    An admin gives the VCH less memory, and then more: the node follows without a restart.
    ${node} =    Start Node Of A New VCH
    ${pool} =    Pool Of VCH    ${node}
    Govc    pool.change    -mem.limit    1024    ${pool}
    Wait Until Node Field Is    ${node}    .status.capacity.memory    1Gi
    Govc    pool.change    -mem.limit    2048    ${pool}
    Wait Until Node Field Is    ${node}    .status.capacity.memory    2Gi

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
