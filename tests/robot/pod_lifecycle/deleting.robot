*** Settings ***
Documentation    VMs that outlive their pods cost money and addresses, and nobody looks for them.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
Running Pod
    [Documentation]    The VM, its entry in the folder and its files on the datastore go with the pod.
    Apply Pod    web
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}

All Pods
    [Documentation]    Nothing is left in the folder of the VCH but its endpoint VM.
    Apply Deployment    web    2
    Apply Pod    db
    Wait Until Pod Is    db    Running
    Remove Pods
    Wait Until No Pod VMs Are Left
    ${endpoint} =    Endpoint VM
    ${left} =    Govc    ls    ${endpoint.folder}
    Should Be Equal    ${left.strip()}    ${endpoint.path}

Starting Pod
    [Tags]    require-sim-guests
    Apply Pod    web    sim.wolfpack/start-delay=1h
    ${vm} =    VM Of Pod    web
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}

Pod That Was Just Applied
    [Documentation]    However far its creation has come when the deletion arrives, no VM stays.
    Apply Pod    web
    Delete Pod    web
    Wait Until Namespace Has VMs    0

Ended Pod
    [Tags]    require-sim-guests
    Apply Pod    job    restart_policy=Never    sim.wolfpack/exit-code=0
    Wait Until Pod Is    job    Succeeded
    ${vm} =    VM Of Pod    job
    Delete Pod    job
    Wait Until VM Is Gone    ${vm}

Pod Whose Guest Never Reports
    [Tags]    require-sim-guests
    Apply Pod    web    sim.wolfpack/hang=true    grace=1
    ${vm} =    VM Of Pod    web
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}

Slow To Stop Within Its Grace Period
    [Documentation]    The guest is asked to stop and given the time to do so: vCenter sees it shut itself down.
    [Tags]    require-sim-guests
    Apply Pod    web    sim.wolfpack/stop-delay=2s    grace=30
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}
    VCenter Should Have Event    VmGuestShutdownEvent    ${vm}

Outstaying Its Grace Period
    [Documentation]    A guest that does not stop is powered off.
    [Tags]    require-sim-guests
    Apply Pod    web    sim.wolfpack/stop-delay=1h    grace=1
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    Delete Pod    web
    Wait Until VM Is Gone    ${vm}
