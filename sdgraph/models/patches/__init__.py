"""Patches: files of weight changes (LoRA and its relatives), fitted to a model and put on while it is leased.

files      where a patch's file is, and what its header says
keys       from a file's keys to entries: which module, which kind of change
names      by which names files call a model's modules
adapters   the kinds of change as arithmetic on weights
fit        entries matched with a model's weights
lora       reading a LoRA for the graph: headers only
patched    a model in memory that is brought from one set of patches to another, and back bit for bit
"""
