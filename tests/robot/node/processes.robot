*** Settings ***
Documentation    Several nodes in one process, and several processes for one node.

Resource         ../../resources/wolfpack.resource
Library          wolfpack_tests.nodes.Nodes    AS    Nodes

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-sim-guests


*** Test Cases ***
Two Nodes In One Process
    [Documentation]    Each is Ready, and each runs its pod in its own virtual container host.
    ${web} =    Create Own VCH
    ${db} =    Create Own VCH
    ${web_node}    ${db_node} =    Start Own Nodes    ${web}    ${db}
    Pod Should Run In    ${web}    frontend    ${web_node}
    Pod Should Run In    ${db}    database    ${db_node}

Standby Takes Over
    [Documentation]    The leader dies while vCenter makes a VM for it. The pod that ran is left in peace, and the VM that
    ...    was being made is the only one of its pod.
    [Tags]    require-stand-in
    ${vch} =    Create Own VCH
    ${node} =    Start Own Node    ${vch}    --leader-elect
    Pod Should Run In    ${vch}    old    ${node}
    ${before} =    VM Of Pod    old
    Start Standby    ${node}
    Leader Should Die While It Makes    ${node}    new
    Wait Until Pod Is    new    Running
    Wait Until Namespace Has VMs    2
    Pod Should Have Been Left In Peace    old    ${before}


*** Keywords ***
Pod Should Run In
    [Documentation]    Applies a pod for a node. It runs, and its VM is in a virtual container host.
    [Arguments]    ${vch}    ${pod}    ${node}
    Apply Pod    ${pod}    node=${node}
    Wait Until Pod Is    ${pod}    Running
    ${vm} =    VM Of Pod    ${pod}
    Should Contain    ${vm.path}    /${vch}/

Leader Should Die While It Makes
    [Documentation]    Kills the process that leads after vCenter has made a pod's VM, and before it hears of it.
    [Arguments]    ${node}    ${pod}
    ${leader} =    Leader Of Node    ${node}
    ${fault} =    Inject Fault    delay-answer    method=CreateVM_Task    node=${node}    count=1    delay=1h
    Apply Pod    ${pod}    node=${node}
    Wait Until Fault Has Struck    ${fault}
    Kill Own Node    ${node}
    Remove Faults
    Wait Until Another Leads    ${node}    ${leader}
