*** Settings ***
Documentation    The figures follow as VCHs and pods come and go, for there is nothing between them and vCenter.

Resource         ../../resources/recovery.resource
Resource         ../../resources/telemetry.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-stand-in    require-sim-guests


*** Test Cases ***
VCH And Container VM Differ
    ${before} =    Take Report    --no-events
    ${node} =    Start Node Of A New VCH
    Apply Pod    web    node=${node}
    Wait Until Pod Is    web    Running
    ${after} =    Take Report    --no-events
    Counts Should Have Grown    ${before}    ${after}    vchs=1    container_vms=1
    Report Should Agree With Govc    ${after}    VCHs
    Report Should Agree With Govc    ${after}    container VMs of VCHs

Pod Goes
    Apply Pod    web
    Wait Until Pod Is    web    Running
    ${before} =    Take Report    --no-events
    Delete Pod    web
    Wait Until Namespace Has VMs    0
    ${after} =    Take Report    --no-events
    Counts Should Have Grown    ${before}    ${after}    vchs=0    container_vms=-1

VCH Goes
    ${vch} =    Create Own VCH
    ${before} =    Take Report    --no-events
    Wolfpack    vch    delete    ${vch}
    ${after} =    Take Report    --no-events
    Counts Should Have Grown    ${before}    ${after}    vchs=-1    container_vms=0
    Counts Should Agree With Govc    VMs    VCHs    VCHs of hosts

Life Of A Pod
    [Documentation]    Its length is the time between the events of its VM, by vCenter's clock.
    ${before} =    Take Report
    Apply Pod    web
    ${vm} =    VM Of Pod    web
    Wait Until Pod Is    web    Running
    Delete Pod    web
    Wait Until Namespace Has VMs    0
    ${after} =    Take Report
    ${expected} =    Lifetime By Events    ${vm.name}
    One More Life Should Have Ended    ${before}    ${after}    ${expected}
