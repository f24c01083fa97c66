*** Settings ***
Documentation    Pods that end without having been asked to, and how they tell of it.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
After Running
    [Tags]    require-sim-guests
    Apply Pod    job    restart_policy=Never    sim.wolfpack/exit-after=3s    sim.wolfpack/exit-code=0
    Wait Until Pod Is    job    Running
    Wait Until Pod Is    job    Succeeded

Failure Of The Guest
    [Tags]    require-sim-guests
    Apply Pod    job    restart_policy=Never    sim.wolfpack/fail=the disk is on fire
    Wait Until Pod Is    job    Failed
    Wait Until Pod Says    job    the disk is on fire

Powered Off Behind The Provider's Back
    [Documentation]    A VM that stops without a last word from its guest did not succeed.
    Apply Pod    web    restart_policy=Never
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Govc    vm.power    -off    ${vm}
    Wait Until Pod Is    web    Failed

Destroyed Behind The Provider's Back
    [Documentation]    An admin removed the VM. The pod says so, and can still be deleted.
    Apply Pod    web    restart_policy=Never
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Govc    vm.destroy    ${vm}
    Wait Until Pod Is    web    Failed
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}
