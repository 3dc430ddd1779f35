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
        "Which signs point to {the_fault}?",
        "What is noticed when there is {the_fault}?",
        "How does {the_fault} show?",
        "Name the symptoms of {the_fault}.",
    ),
    "causes": (
        "What may have caused {the_fault}?",
        "Name possible causes of {the_fault}.",
        "Why does {the_fault} happen?",
        "Which reasons for {the_fault} does the entry give?",
    ),
    "actions": (
        "What should be done about {the_fault}?",
        "How is {the_fault} put right?",
        "Name the remedies for {the_fault}.",
        "Which repair steps belong to {the_fault}?",
    ),
}

DESCRIBE = (
    "Describe {the_fault} for the next shift.",
    "Explain {the_fault} to a new colleague.",
    "Write an entry about {the_fault} on the {machine}.",
    "Tell the fitter about {the_fault}.",
    "Summarise what the entry says about {the_fault}.",
    "What must a technician know about {the_fault}?",
)

PROSE = {
    "component": ("The fault sits in the {component}.", "The part concerned is the {component}."),
    "symptoms": ("It shows like this: {x}.", "Typical sign: {x}.", "Operators report: {x}."),
    "causes": ("Possible cause: {x}.", "It can come from this: {x}.", "One reason: {x}."),
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
    "According to the entry, can {the_fault} come from this: {x}?",
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
    "causes": ("Causes", "Possible causes", "Reasons"),
    "remedies": ("Causes and remedies", "Cause -> remedy", "What to do for which cause"),
    "checks": ("Limits", "Measure", "Checks"),
    "safety": ("Safety", "Before work"),
}
