*** Settings ***
Documentation    Someone who knows nothing but the program's name finds the rest.

Library          wolfpack_tests.program.Program    AS    Program

Test Template    Help Should Tell Of


*** Test Cases ***     WORD             COMMAND
Commands               vch
Node                   node
VCH Commands           create           vch
VCH Datastore          --datastore      vch        create
VCH Plan               --dry-run        vch        create
VCH Config             --config         vch        inspect
VCH Role               --create-role    vch        privileges
Connection Settings    GOVC_URL         vch        create


*** Keywords ***
Help Should Tell Of
    [Documentation]    The help of a command has this word.
    [Arguments]    ${word}    @{command}
    ${help} =    Wolfpack    @{command}    --help
    Should Contain    ${help}    ${word}
