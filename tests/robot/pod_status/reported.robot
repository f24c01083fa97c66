*** Settings ***
Documentation     What the guest reports of a running pod. One pod is started once; each test looks at one fact.

Resource          ../../resources/wolfpack.resource

Suite Setup       Start Pod
Suite Teardown    Clean Up
Test Teardown     Keep Evidence Of Failure


*** Test Cases ***
Conditions
    [Template]    Condition Should Be True
    PodScheduled
    PodReadyToStartContainers
    Initialized
    ContainersReady
    Ready

Time Of A Condition
    [Documentation]    It is when the value changed last: not when the pod was looked at, nor when a label was.
    ${before} =    Pod Field    web    .status.conditions[?(@.type\=\="Ready")].lastTransitionTime
    Label Pod    web    looked\=at
    Wait Until Pod Is    web    Running
    Pod Field Should Be    web    .status.conditions[?(@.type\=\="Ready")].lastTransitionTime    ${before}

Address Of The Node
    ${node} =    Pod Field    web    .spec.nodeName
    ${address} =    Kubectl
    ...    get
    ...    node
    ...    ${node}
    ...    -o
    ...    jsonpath\={.status.addresses[?(@.type\=\="InternalIP")].address}
    Pod Field Should Be    web    .status.hostIP    ${address.strip()}

Quality Of Service
    [Template]    Pod Should Have Quality
    BestEffort
    Burstable    cpu=100m
    Guaranteed    cpu=100m    memory=64Mi

Restarts
    [Documentation]    A container that exits is started again, and tells how it ended before.
    [Tags]    require-sim-guests
    Apply Pod    again    sim.wolfpack/exit-after=1s    sim.wolfpack/exit-code=3
    Wait Until Pod Field Is    again    .status.containerStatuses[0].restartCount    1
    Pod Field Should Be    again    .status.containerStatuses[0].lastState.terminated.exitCode    3
    Pod Field Should Be    again    .status.containerStatuses[0].lastState.terminated.reason    Error


*** Keywords ***
Start Pod
    [Documentation]    Starts the pod web and waits until it runs.
    Enter New Namespace
    Apply Pod    web
    Wait Until Pod Is    web    Running

Condition Should Be True
    [Documentation]    The pod web has this condition.
    [Arguments]    ${condition}
    Pod Field Should Be    web    .status.conditions[?(@.type\=\="${condition}")].status    True

Pod Should Have Quality
    [Documentation]    A pod with these resources is of this quality of service, and keeps it when it runs.
    [Arguments]    ${quality}    &{resources}
    ${pod} =    Apply Pod    ${quality.lower()}    &{resources}
    Wait Until Pod Is    ${pod}    Running
    Pod Field Should Be    ${pod}    .status.qosClass    ${quality}
