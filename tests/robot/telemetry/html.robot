*** Settings ***
Documentation     The HTML report in a real browser: one file that asks for nothing else, and that everyone can read.

Library           OperatingSystem
Library           wolfpack_tests.browser.Browser    AS    Browser
Library           wolfpack_tests.telemetry.Telemetry    AS    Telemetry
Resource          ../../resources/wolfpack.resource

Suite Setup       Have A Pod
Suite Teardown    Close Browser And Clean Up

Test Tags         require-stand-in


*** Test Cases ***
Tiles
    Open Report In Browser
    Keep Screenshot    telemetry
    FOR    ${metric}    ${what}    IN
    ...    5    VMs
    ...    6    VCHs
    ...    7    container VMs
        ${count} =    Govc Counts    ${what}
        Tile Should Show    ${metric}    ${count}
    END

Self Contained
    Open Report In Browser
    Page Should Have Asked For Nothing Else

Narrow
    Open Report In Browser    width=400
    Keep Screenshot    telemetry-narrow
    Page Should Not Be Wider Than The Window

Dark
    Open Report In Browser    dark=True
    Keep Screenshot    telemetry-dark
    ${dark} =    Background Of Page
    Open Report In Browser
    ${light} =    Background Of Page
    Should Be True    ${dark} < 80 < 200 < ${light}


*** Keywords ***
Have A Pod
    [Documentation]    So that there is a container VM.
    Enter New Namespace
    Apply Pod    web
    Wait Until Pod Is    web    Running

Open Report In Browser
    [Documentation]    Takes a report and opens it, with options of Open In Browser.
    [Arguments]    &{options}
    ${html} =    Take Report As    html
    ${file} =    Own File    telemetry.html
    Create File    ${file}    ${html}
    Open In Browser    ${file}    &{options}

Close Browser And Clean Up
    [Documentation]    The browser goes first: it has files open.
    Close Browser
    Clean Up
