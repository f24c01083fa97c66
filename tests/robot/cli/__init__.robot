*** Settings ***
Documentation    The command line, as the admin of a vCenter meets it.
