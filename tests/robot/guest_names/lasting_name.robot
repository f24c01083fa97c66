*** Settings ***
Documentation    A name that got lost on the way would make a VM vanish from telemetry while it still runs.
...              Where VIC set names it lost them again: after an upgrade hosts kept the old build's name.

Resource         ../../resources/guest_names.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
VCH Powered Off And On
    ${vch} =    Create Own VCH
    ${vm} =    Endpoint VM    ${vch}
    Set VM Power    ${vm}    off
    Guest Name Should Be    ${vm}    Photon - VCH
    Set VM Power    ${vm}    on
    Guest Name Should Be    ${vm}    Photon - VCH

VCH Reconfigured
    ${vch} =    Create Own VCH
    ${vm} =    Endpoint VM    ${vch}
    Govc    vm.change    -vm    ${vm}    -annotation    looked after by the night shift    -e    team\=blue    -m    1024
    Guest Name Should Be    ${vm}    Photon - VCH

VCH Created Again
    [Documentation]    Creating a VCH that exists completes it, and leaves its name as it was.
    ${vch} =    Create Own VCH
    Wolfpack    vch    create    ${vch}
    ${vm} =    Endpoint VM    ${vch}
    Guest Name Should Be    ${vm}    Photon - VCH

Pod VM Reconfigured
    Apply Pod    web
    ${vm} =    VM Of Pod    web
    Govc    vm.change    -vm    ${vm}    -annotation    looked after by the night shift    -e    team\=blue
    Guest Name Should Be    ${vm}    Photon - Container

Pod VM Renamed
    Apply Pod    web
    ${vm} =    VM Of Pod    web
    Govc    vm.change    -vm    ${vm}    -name    renamed-${vm.name}
    Guest Name Should Be    ${vm}    Photon - Container

Pod VM Powered Off
    Apply Pod    web    restart_policy=Never
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Set VM Power    ${vm}    off
    Guest Name Should Be    ${vm}    Photon - Container

Provider Restarted
    ${vch} =    Create Own VCH
    ${node} =    Start Own Node    ${vch}
    ${pod} =    Apply Pod    web    node=${node}    wolfpack.guest-os=redhat
    Wait Until Pod Is    ${pod}    Running
    ${vm} =    VM Of Pod    ${pod}
    Stop Own Node    ${node}
    Start Own Node Again    ${node}
    ${endpoint} =    Endpoint VM    ${vch}
    Guest Name Should Be    ${endpoint}    Photon - VCH
    Guest Name Should Be    ${vm}    Redhat - Container


*** Keywords ***
Set VM Power
    [Documentation]    Turns a VM on or off, and waits until vCenter shows it.
    [Arguments]    ${vm}    ${state}
    Govc    vm.power    -${state}    ${vm}
    Wait Until VM Field Is    ${vm}    runtime.powerState    powered${state.title()}
