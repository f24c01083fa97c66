*** Settings ***
Documentation    A mistake gets exit code 1 and one paragraph that names the thing, its value and what would be right.
...              A VCH that cannot be created leaves nothing in vCenter.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up
Test Template    VCH Create Should Refuse


*** Test Cases ***           MESSAGE                            OPTIONS AND ENVIRONMENT
Unknown Datastore            nosuch-ds.*there are: /            --datastore                         nosuch-ds
Unknown Network              nosuch-net.*there are: /           --network                           nosuch-net
Unknown Compute Resource     nosuch-pool.*there are: /          --compute                           nosuch-pool
Unknown Folder               nosuch-folder.*there are: /        --folder                            nosuch-folder
Unknown Datacenter           nosuch-dc.*there are: /            --datacenter                        nosuch-dc
Unknown Guest OS             "plan9".*photon                    --guest-os                          plan9
All At Once                  2 reasons.*nosuch-ds.*nosuch-n     --datastore\=nosuch-ds              --network\=nosuch-net
Limit Above What Is There    CPU limit 9000000 MHz.*has: \\d    --cpu-limit                         9000000
Reservation Above Limit      is above the limit of 5 MB         --memory-limit\=5                   --memory-reservation\=6
Negative Limit               CPU limit -2 MHz is negative       --cpu-limit                         -2
Unknown Shares               "much", want low, normal, high     --cpu-shares                        much
No CPU                       endpoint VM with -1 CPUs           --endpoint-cpus                     -1
Wrong Password               (?i)password|user name             GOVC_PASSWORD=wrong
Unreachable vCenter          127\\.0\\.0\\.1:1\\b               GOVC_URL=https://127.0.0.1:1/sdk
Untrusted Certificate        (?i)certificate.*SHA-256           GOVC_TLS_CA_CERTS=                  GOVC_INSECURE=


*** Keywords ***
VCH Create Should Refuse
    [Documentation]    Creating a VCH with these options fails and leaves nothing behind.
    [Arguments]    ${message}    @{options}    &{environment}
    ${name} =    New VCH Name
    Wolfpack Should Refuse    ${message}    vch    create    ${name}    @{options}    &{environment}
    Inventory Should Not Have    ${name}
