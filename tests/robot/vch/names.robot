*** Settings ***
Documentation    A name is one VCH's in the whole vCenter, and follows rules, because a node's label has it.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up


*** Test Cases ***
Space
    Wolfpack Should Refuse    the character ' ' in it    vch    create    we b

Hyphen First
    Wolfpack Should Refuse    must begin and end with a letter or digit    vch    create    --    -web

Too Long
    Wolfpack Should Refuse    has 64 characters, want at most 63    vch    create    ${{'w' * 64}}

Marks What Is Not Whole
    Wolfpack Should Refuse    which marks what is not whole    vch    create    web.incomplete

Taken By A Folder
    [Documentation]    What has the name and is no VCH is not touched.
    ${name} =    New VCH Name
    ${lab} =    Endpoint VM
    VAR    ${around} =    ${{ $lab.folder.rpartition('/')[0] }}
    Govc    folder.create    ${around}/${name}
    Wolfpack Should Refuse    ${name} exists and is no VCH's    vch    create    ${name}
    Wolfpack Should Refuse    no VCH "${name}"    vch    delete    ${name}
    Govc    object.destroy    ${around}/${name}

Unknown
    [Documentation]    Who mistypes a name is told those that there are.
    Wolfpack Should Refuse    no VCH "no-such".*there are: .*    vch    inspect    no-such

Taken By Two At Once
    [Documentation]    Two admins create the same name at once. One VCH is made at most, and the next create works.
    ${name} =    New VCH Name
    Create At Once    ${name}    times=3
    Wolfpack    vch    create    ${name}
    ${vm} =    Endpoint VM    ${name}
    Wolfpack    vch    delete    ${name}
    Wait Until VM Is Gone    ${vm}
    Inventory Should Not Have    ${name}
