*** Settings ***
Documentation    Whoever asks wrongly is told what would be right. What vCenter keeps to itself, or cannot give, is named in
...              a report of the rest, and the exit code tells a script.

Library          OperatingSystem
Resource         ../../resources/telemetry.resource
Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up


*** Variables ***
${TELEMETRY}    wolfpack/* (telemetry)


*** Test Cases ***
Unknown Datacenter
    Wolfpack Should Refuse    "nosuch".*there are: DC0    telemetry    report    --datacenter    nosuch

Unreachable VCenter
    Wolfpack Should Refuse    127\\.0\\.0\\.1:1\\b    telemetry    report    GOVC_URL=https://127.0.0.1:1/sdk

Wrong Password
    Wolfpack Should Refuse    (?i)password|user name    telemetry    report    GOVC_PASSWORD=wrong

Unknown Format
    Wolfpack Should Refuse    want one of table, .*html    telemetry    report    -o    pie

VM That May Not Be Read
    [Tags]    require-stand-in
    ${vm} =    Endpoint VM
    ${count} =    Govc Counts    VMs
    Inject Fault    no-permission    object=${vm}
    ${report} =    Take Partial Report    --no-events
    Report Should Name Problem    ${report}    inventory    Read-only
    Report Should Count    ${report}    VMs    ${count}

Connection That Breaks In The Middle
    [Tags]    require-stand-in
    Inject Fault    reset    method=ContinueRetrievePropertiesEx    agent=${TELEMETRY}
    ${report} =    Take Partial Report    --no-events    --page-size    3
    Report Should Name Problem    ${report}    inventory    reset

Events That Cannot Be Read
    [Tags]    require-stand-in
    Inject Fault    fault    method=CreateCollectorForEvents    fault=NoPermission    agent=${TELEMETRY}
    ${report} =    Take Partial Report
    Report Should Name Problem    ${report}    events    NoPermission
    Report Should Agree With Govc    ${report}    VMs

History That Is Damaged
    ${file} =    Own File    telemetry.history
    Create File    ${file}    {"half a fi
    ${report} =    Take Partial Report    --no-events    --history    ${file}
    Report Should Name Problem    ${report}    history    ${file}
    Kept Aside Should Be    ${file}    {"half a fi
