*** Settings ***
Documentation    A node that cannot work says why, and registers nothing in Kubernetes that pods would be sent to.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up
Test Template    Node Should Refuse


*** Test Cases ***       MESSAGE                   OPTIONS AND ENVIRONMENT
Unknown VCH              nosuch-vch
Wrong Password           (?i)password|user name    GOVC_PASSWORD=wrong
Unreachable vCenter      127\\.0\\.0\\.1:1\\b      GOVC_URL=https://127.0.0.1:1/sdk
Untrusted Certificate    (?i)certificate           GOVC_TLS_CA_CERTS=                  GOVC_INSECURE=
No Kubeconfig            nosuch\\.kubeconfig       --kubeconfig                        nosuch.kubeconfig


*** Keywords ***
Node Should Refuse
    [Documentation]    A node of a VCH that does not exist, with these options, does not start and does not register.
    [Arguments]    ${message}    @{options}    &{environment}
    ${name} =    New VCH Name
    Wolfpack Should Refuse
    ...    ${message}    node    --vch    nosuch-vch    --node-name    ${name}    @{options}    &{environment}
    Kubectl    get    node    ${name}    expect_rc=${1}
