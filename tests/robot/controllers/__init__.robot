*** Settings ***
Documentation    Kubernetes' controllers make pods and take them away by what the node says of them. Each gets the machines
...              that it should have, when it should, and no machine is left that it does not want any more.
