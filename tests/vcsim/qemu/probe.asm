# SPDX-License-Identifier: Apache-2.0
# A boot sector that works for a while in 64-bit mode, and then has QEMU exit. Where hardware virtualisation only seems to
# be there, its locked instruction is the first to fail. probe.img is made from it, and is padded when it is used:
#   as -o probe.o probe.asm && ld -e 0x7c00 -Ttext 0x7c00 --oformat binary -o probe.img probe.o
.code16
start:
 cli
 xor %ax,%ax
 mov %ax,%ds
 mov %ax,%es
 mov %ax,%ss
 mov $0x7c00,%sp
 # page tables at 0x1000..0x3fff
 mov $0x1000,%di

 mov $0x1800,%cx
 rep stosw
 movw $0x2003,0x1000
 movw $0x3003,0x2000
 movw $0x0083,0x3000
 mov $0x1000,%eax
 mov %eax,%cr3
 mov %cr4,%eax
 or $0x20,%al
 mov %eax,%cr4
 mov $0xc0000080,%ecx
 rdmsr
 or $0x100,%eax
 wrmsr
 lgdtl gdtr
 mov %cr0,%eax
 or $0x80000001,%eax
 mov %eax,%cr0
 ljmp $8,$long
.code64
long:
 mov $0x4000,%edi
 mov $1000000,%esi
again:
 mov (%rdi),%rax
 mov 8(%rdi),%rdx
 lea 1(%rax),%rbx
 mov %rdx,%rcx
 lock cmpxchg16b (%rdi)
 dec %esi
 jnz again
 mov $0x10,%al
 mov $0x501,%dx
 out %al,%dx
halt: hlt
 jmp halt
.align 4
gdtr: .word 15
 .long gdt
.align 8
gdt: .quad 0
 .quad 0x00af9a000000ffff
