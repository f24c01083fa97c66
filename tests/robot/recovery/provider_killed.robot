*** Settings ***
Documentation    The provider is killed in the middle of a change, just before vCenter carries it out or just after,
...              and started again. Wherever it was, there is one VM for each pod and none without.

Resource         ../../resources/recovery.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-stand-in    require-sim-guests


*** Test Cases ***
Before Create
    Pod Should Run After Kill    delay    CreateVM_Task

After Create
    Pod Should Run After Kill    delay-answer    CreateVM_Task

Before Power On
    Pod Should Run After Kill    delay    PowerOnVM_Task

After Power On
    Pod Should Run After Kill    delay-answer    PowerOnVM_Task

Before Shutdown
    Pod Should Go After Kill    delay    ShutdownGuest

After Shutdown
    Pod Should Go After Kill    delay-answer    ShutdownGuest

Before Destroy
    Pod Should Go After Kill    delay    Destroy_Task

After Destroy
    Pod Should Go After Kill    delay-answer    Destroy_Task

Pod Made Again Under Its Name Meanwhile
    [Documentation]    The new pod gets a VM of its own; the old one's VM, of a pod that nobody said was deleted, goes.
    ${node} =    Start Node Of A New VCH
    ${first} =    Apply Pod    web    node=${node}
    Wait Until Pod Is    web    Running
    ${old} =    VM Of Pod    web
    Kill Own Node    ${node}
    Kubectl    delete    pod    web    -n    ${first.namespace}    --grace-period\=0    --force
    ${second} =    Apply Pod    web    node=${node}
    Start Own Node Again    ${node}
    Wait Until Pod Is    ${second}    Running
    Wait Until VM Is Gone    ${old}


*** Keywords ***
Pod Should Run After Kill
    [Documentation]    Kills the node while a request for its pod is held up. The pod runs in the end, with one VM.
    [Arguments]    ${hold}    ${method}
    ${node} =    Start Node Of A New VCH
    ${fault} =    Hold Up Request    ${hold}    ${method}    ${node}
    Apply Pod    web    node=${node}
    Kill Node When Struck    ${node}    ${fault}
    Start Own Node Again    ${node}
    Wait Until Pod Is    web    Running
    VM Of Pod    web
    Wait Until Namespace Has VMs    1

Pod Should Go After Kill
    [Documentation]    Kills the node while a request for its pod, which is being deleted, is held up. The pod and its VM go.
    [Arguments]    ${hold}    ${method}
    ${node} =    Start Node Of A New VCH
    Apply Pod    web    node=${node}
    Wait Until Pod Is    web    Running
    ${vm} =    VM Of Pod    web
    ${fault} =    Hold Up Request    ${hold}    ${method}    ${node}
    Start Deleting Pod    web
    Kill Node When Struck    ${node}    ${fault}
    Start Own Node Again    ${node}
    Wait Until VM Is Gone    ${vm}
    Wait Until Namespace Has VMs    0

Hold Up Request
    [Documentation]    The node's next request of a method, or the answer to it, is held up until the node is gone.
    [Arguments]    ${hold}    ${method}    ${node}
    ${fault} =    Inject Fault    ${hold}    method=${method}    node=${node}    count=1    delay=1h
    RETURN    ${fault}

Kill Node When Struck
    [Documentation]    Kills the node once its request is held up, and lets later requests through.
    [Arguments]    ${node}    ${fault}
    Wait Until Fault Has Struck    ${fault}
    Kill Own Node    ${node}
    Remove Faults
