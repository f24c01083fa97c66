*** Settings ***
Documentation    Ten figures say what is installed in a vCenter and how it is used. Each is worth what it is right.
