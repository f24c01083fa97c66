*** Settings ***
Documentation    Prometheus scrapes what was counted last: the figures follow vCenter, and no scrape makes a request to it.

Library          wolfpack_tests.exporter.Exporter    AS    Exporter
Library          wolfpack_tests.telemetry.Telemetry    AS    Telemetry
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Stop Exporter And Clean Up

Test Tags        require-stand-in


*** Test Cases ***
Figures Follow
    ${count} =    Govc Counts    VMs
    Start Exporter
    Wait Until Metric Adds Up To    vic_vms    ${count}
    Apply Pod    web
    Wait Until Pod Is    web    Running
    Wait Until Metric Adds Up To    vic_vms    ${count + 1}
    Delete Pod    web
    Wait Until Namespace Has VMs    0
    Wait Until Metric Adds Up To    vic_vms    ${count}

Scrapes Ask VCenter For Nothing
    Start Exporter    --interval    1h
    ${before} =    VCenter Requests    *    agent=wolfpack/* (telemetry*)
    FOR    ${_}    IN RANGE    5
        Scrape
    END
    ${after} =    VCenter Requests    *    agent=wolfpack/* (telemetry*)
    Should Be Equal    ${after}    ${before}

Page For A Browser
    Start Exporter
    ${page} =    Ask Exporter    /report
    Should Start With    ${page.type}    text/html
    ${vcenter} =    Take Report    --no-events
    Should Contain    ${page.text}    ${vcenter}[vcenter][fullName]

Only Configured Targets
    Start Exporter
    ${report} =    Take Report    --no-events
    ${own} =    Ask Exporter    /probe?target=${report}[vcenter][name]
    Should Be Equal As Integers    ${own.status}    200
    ${other} =    Ask Exporter    /probe?target=evil.example.com
    Should Be Equal As Integers    ${other.status}    404

VCenter Away
    [Documentation]    The last report stays, and says that it is the last.
    Start Exporter
    ${count} =    Govc Counts    VMs
    Inject Fault    http-status    status=503    agent=wolfpack/* (telemetry*)
    Wait Until Metric Adds Up To    vic_census_up    0
    Wait Until Metric Adds Up To    vic_vms    ${count}
    Remove Faults
    Wait Until Metric Adds Up To    vic_census_up    1

No Session Left Behind
    Start Exporter
    Stop Exporter
    ${sessions} =    Govc    session.ls
    Should Not Contain    ${sessions}    (telemetry


*** Keywords ***
Stop Exporter And Clean Up
    [Documentation]    The exporter has to end cleanly too.
    Stop Exporter
    Clean Up
