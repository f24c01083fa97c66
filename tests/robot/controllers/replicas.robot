*** Settings ***
Documentation    ReplicaSets and Deployments: so many pods, whatever becomes of their machines.

Resource         ../../resources/controllers.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
Pod Replaced Whose VM Was Destroyed
    Apply Replica Set    web    1
    ${old}    ${vm} =    Only Pod Of    web
    Govc    vm.destroy    ${vm}
    Wait Until Pod Is    ${old}    Failed
    ${new}    ${new_vm} =    Only Pod Of    web
    Should Not Be Equal    ${new.uid}    ${old.uid}
    Should Not Be Equal    ${new_vm.reference}    ${vm.reference}
    Wait Until Namespace Has VMs    1

Rolling Update
    [Documentation]    Each of the two pods gets a successor. None goes before another is ready.
    Apply Deployment    web    2
    ${old}    ${vms} =    Two Pods Of    web
    ${start} =    Restart Deployment    web
    Wait Until Deployment Is Rolled Out    web
    ${fewest} =    Fewest Ready Pods    web    2    since=${start}
    Should Be Equal As Integers    ${fewest}    2
    ${new} =    Ready Pods Of    web    2
    Should Not Contain Any    ${new}    @{old}
    Wait Until VMs Are Gone    @{vms}
    Wait Until Namespace Has VMs    2

Rolling Update That VCenter Holds Up
    [Documentation]    As long as no new VM can be made, the old pods are left in peace.
    [Tags]    require-stand-in
    Apply Deployment    held-up    2
    ${old}    ${vms} =    Two Pods Of    held-up
    ${fault} =    Inject Fault    task-fault    method=CreateVM_Task    object=held-up-*    fault=NoDiskSpace
    Restart Deployment    held-up
    Wait Until Fault Has Struck    ${fault}    times=2
    Pod Should Have Been Left In Peace    ${old}[0]    ${vms}[0]
    Pod Should Have Been Left In Peace    ${old}[1]    ${vms}[1]
    Remove Faults
    Wait Until Deployment Is Rolled Out    held-up
