*** Settings ***
Documentation    A mistyped command names the word that is wrong.

Library          wolfpack_tests.program.Program    AS    Program

Test Template    Wolfpack Should Refuse


*** Test Cases ***    MESSAGE           COMMAND
Unknown Command       nosuch            nosuch
Unknown Flag          --nosuch          vch        ls        --nosuch
Unknown Format        "nosuch".*yaml    vch        ls        -o            nosuch
VCH Without A Name    (?i)name          vch        create
Unknown VCH           nosuch-vch        vch        delete    nosuch-vch
