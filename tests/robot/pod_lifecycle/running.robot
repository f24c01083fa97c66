*** Settings ***
Documentation     What is true of a pod that runs. Two pods are started once; each test looks at one fact.

Resource          ../../resources/wolfpack.resource

Suite Setup       Start Two Pods
Suite Teardown    Clean Up


*** Test Cases ***
Own Address
    ${first} =    Pod Field    web    .status.podIP
    ${second} =    Pod Field    db    .status.podIP
    Should Match Regexp    ${first}    ^[0-9a-f.:]+$
    Should Match Regexp    ${second}    ^[0-9a-f.:]+$
    Should Not Be Equal    ${first}    ${second}

Address Of The VM
    ${vm} =    VM Of Pod    web
    ${address} =    Pod Field    web    .status.podIP
    VM Field Should Be    ${vm}    guest.ipAddress    ${address}

VM Powered On
    ${vm} =    VM Of Pod    web
    VM Field Should Be    ${vm}    runtime.powerState    poweredOn

VM Named After The Pod
    [Documentation]    An admin who looks at vCenter sees which pod a VM is.
    ${vm} =    VM Of Pod    web
    Should Start With    ${vm.name}    web-

VM In The Folder Of The VCH
    ${vm} =    VM Of Pod    web
    ${endpoint} =    Endpoint VM
    ${folder} =    VM Field    ${endpoint}    parent
    VM Field Should Be    ${vm}    parent    ${folder}

Container Started And Ready
    Pod Field Should Be    web    .status.containerStatuses[0].ready    true
    Pod Field Should Be    web    .status.containerStatuses[0].restartCount    0
    ${since} =    Pod Field    web    .status.containerStatuses[0].state.running.startedAt
    Should Not Be Empty    ${since}

Relabelled
    [Documentation]    A change of labels is stored and does not touch the VM: same machine, no restart.
    ${vm} =    VM Of Pod    db
    ${booted} =    VM Field    ${vm}    runtime.bootTime
    Label Pod    db    tier\=back
    Pod Field Should Be    db    .metadata.labels.tier    back
    Pod Field Should Be    db    .status.phase    Running
    VM Field Should Be    ${vm}    runtime.bootTime    ${booted}


*** Keywords ***
Start Two Pods
    [Documentation]    Starts the pods web and db and waits until both run.
    Enter New Namespace
    Apply Pod    web
    Apply Pod    db
    Wait Until Pod Is    web    Running
    Wait Until Pod Is    db    Running
