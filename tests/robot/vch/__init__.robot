*** Settings ***
Documentation    Virtual container hosts, as the admin of a vCenter makes, looks at and removes them.
