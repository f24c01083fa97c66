*** Settings ***
Documentation    Wolfpack from the outside: pods are applied with kubectl, and govc shows what became of them in vCenter.
...              README.md beside this file says how to run these suites and what their tags mean.

Test Timeout     3 minutes

Name             Wolfpack
