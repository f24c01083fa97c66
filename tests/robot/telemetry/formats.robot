*** Settings ***
Documentation     One report, for a screen, a spreadsheet, a monitoring system and a program.

Library           wolfpack_tests.telemetry.Telemetry    AS    Telemetry
Resource          ../../resources/wolfpack.resource

Suite Setup       Have A Pod
Suite Teardown    Clean Up


*** Test Cases ***
Table For People
    ${table} =    Take Report As    table
    Table Should Have Ten Metrics    ${table}

Rows For A Spreadsheet
    ${vm} =    VM Of Pod    web
    ${csv} =    Take Report As    csv    --no-events
    Rows Should Have    ${csv}    kind=container    name=${vm.name}    os=Photon
    ${count} =    Govc Counts    versions of hosts
    FOR    ${host}    IN    @{count}
        Rows Should Have    ${csv}    kind=host    name=${host}
    END

Metrics For Prometheus
    ${text} =    Take Report As    openmetrics    --no-events
    Should End With    ${text}    \# EOF\n
    ${report} =    Take Report    --no-events
    ${count} =    Counted    ${report}    VMs
    Metric Should Add Up To    ${text}    vic_vms    ${count}

Each VM For A Program
    ${vm} =    VM Of Pod    web
    ${report} =    Take Report    --no-events    --detail
    Inventory Should Have    ${report}    name=${vm.name}    kind=container    vch=${vm.extra}[wolfpack.vch]

What Changed
    ${file} =    Own File    telemetry.history
    ${first} =    Take Report    --no-events    --history    ${file}
    Wait Until Clock Is Beyond    ${first}
    Apply Pod    another
    Wait Until Pod Is    another    Running
    ${table} =    Take Report As    table    --no-events    --history    ${file}
    Should Match Regexp    ${table}    (?m)Container VMs .*\\+1


*** Keywords ***
Have A Pod
    [Documentation]    So that there is a container VM.
    Enter New Namespace
    Apply Pod    web
    Wait Until Pod Is    web    Running
