*** Settings ***
Documentation    A mistake gets exit code 1 and one paragraph that names the thing, its value and what would be right.
...              A VCH that cannot be created leaves nothing in vCenter.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up
Test Template    VCH Create Should Refuse


*** Test Cases ***          MESSAGE                   OPTIONS AND ENVIRONMENT
Unknown Datastore           nosuch-ds                 --datastore                         nosuch-ds
Unknown Network             nosuch-net                --network                           nosuch-net
Unknown Compute Resource    nosuch-pool               --compute                           nosuch-pool
Unknown Guest OS            "plan9".*photon           --guest-os                          plan9
Wrong Password              (?i)password|user name    GOVC_PASSWORD=wrong
Unreachable vCenter         127\\.0\\.0\\.1:1\\b      GOVC_URL=https://127.0.0.1:1/sdk
Untrusted Certificate       (?i)certificate           GOVC_TLS_CA_CERTS=                  GOVC_INSECURE=


*** Keywords ***
VCH Create Should Refuse
    [Documentation]    Creating a VCH with these options fails and leaves nothing behind.
    [Arguments]    ${message}    @{options}    &{environment}
    ${name} =    New VCH Name
    Wolfpack Should Refuse    ${message}    vch    create    ${name}    @{options}    &{environment}
    Inventory Should Not Have    ${name}
