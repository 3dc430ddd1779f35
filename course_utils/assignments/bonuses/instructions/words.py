"""The words of the exercises: titles, questions, sentences, and the phrases a prompt asks for."""

BEGINNINGS = {
    "train": ("Finding:", "Note:", "For the shift log:", "Summary:", "Maintenance entry:",
              "To the fitter:", "Diagnosis:", "In short:"),
    "check": ("Message:", "Report of the day:", "For the technician:", "Answer:"),
}  # fmt: skip

ENDINGS = {
    "train": ("Report to the supervisor.", "End of entry.", "Lock and tag first.",
              "Entered by maintenance.", "Ask before the restart.", "Please confirm."),
    "check": ("End of message.", "Tell the control room.", "Signed by the technician."),
}  # fmt: skip

# A word that a prompt asks for, and a sentence in which it makes sense after any fault.
WORD_SENTENCES = {
    "train": {
        "logbook": "Enter it in the logbook.",
        "planner": "Tell the planner about it.",
        "photo": "Take a photo for the file.",
        "shift": "Pass it on at the end of the shift.",
        "record": "Keep a record of it.",
        "colleague": "Tell a colleague before the work begins.",
    },
    "check": {
        "history": "Add it to the history of the machine.",
        "manager": "Inform the manager.",
        "file": "Note it in the file.",
    },
}

MARKS = {"train": ("|", ";", "//"), "check": ("|", ";", "=>")}

ASPECTS = {
    "symptoms": (
        "Which signs point to {fault}?",
        "What is noticed when there is {fault}?",
        "How does {fault} show?",
        "Name the symptoms of {fault}.",
    ),
    "causes": (
        "What may have caused {fault}?",
        "Name possible causes of {fault}.",
        "Why does {fault} happen?",
        "Which reasons for {fault} does the entry give?",
    ),
    "actions": (
        "What should be done about {fault}?",
        "How is {fault} put right?",
        "Name the remedies for {fault}.",
        "Which repair steps belong to {fault}?",
    ),
}

DESCRIBE = (
    "Describe {fault} for the next shift.",
    "Explain {fault} to a new colleague.",
    "Write an entry about {fault} on the {machine}.",
    "Tell the fitter about {fault}.",
    "Summarise what the entry says about {fault}.",
    "What must a technician know about {fault}?",
)

PROSE = {
    "component": ("The fault sits in the {component}.", "The part concerned is the {component}."),
    "symptoms": ("It shows as {x}.", "A typical sign is {x}.", "Operators report {x}."),
    "causes": ("A possible cause is {x}.", "It can come from {x}.", "One reason is {x}."),
    "actions": ("To put it right, {x}.", "As a remedy, {x}.", "To repair it, {x}."),
    "safety": ("Before the work, {x}.", "For safety, {x}."),
}

LIMITS = (
    "What is the limit for the {x}?",
    "Which limit value does the entry give for the {x}?",
    "Look up the limit of the {x}.",
    "With which value must the {x} be compared?",
)

WHETHER = (
    "Does the entry name this cause: {x}?",
    "Is the following among the listed causes: {x}?",
    "According to the entry, can {fault} come from this: {x}?",
    "Check the causes in the entry. Is this one of them: {x}?",
)

STRUCTURE = (
    "Turn the entry into a record.",
    "Extract the entry's data.",
    "What is this entry about?",
    "Note the main points of the entry.",
)

HEADS = (
    "{machine}: {fault}\nComponent: {component}",
    "Machine: {machine}\nFault: {fault}\nPart: {component}",
    "Entry on {fault} ({machine}, {component})",
    "Fault: {fault}\nConcerns: {component} of the {machine}",
)

TITLES = {
    "symptoms": ("Symptoms", "Signs", "Noticed"),
    "causes": ("Causes", "Possible causes", "Origin"),
    "checks": ("Limits", "Measure", "Checks"),
    "actions": ("Actions", "Remedy", "What to do"),
    "safety": ("Safety", "Before work"),
}
