"""A second hand: the same lists as in templates.py, written without looking at them."""

BOXED = [
    "After simplifying we are left with $\\boxed{@}$.",
    "Hence the desired quantity equals \\[\\boxed{@}\\]",
    "**Result:** $\\boxed{@}$",
    "Ans: \\boxed{@}",
    "$$\\therefore\\ \\boxed{@}$$",
    "\\text{Answer: }\\boxed{@}",
    "So, \\[ \\boxed{@}. \\]",
    "$= \\boxed{@}$",
    "My final answer is: $$ \\boxed{@} $$",
    "The answer to the problem is \\( \\boxed{@} \\), as required.",
    "✅ Final answer: $\\boxed{@}$",
    "**Final Answer**\n\n\\[ \\boxed{@} \\]\n\n---",
    "$\\boxed{@}$ is the final result.",
]
IN_MATH = [
    "Hence the answer is \\[ @ \\]",
    "The final answer is \\( @ \\).",
    "**Final Answer:**\n\n\\( @ \\)",
    "Answer: \\(@\\).",
    "So our answer is $@$, and we are done.",
    "Therefore the required answer is $@$",
    "Answer:\n$$\n@\n$$",
]
PLAIN = [
    "So, the final answer is: @.",
    "**Final Answer**: @",
    "Ans: @",
    "ANSWER: @",
    "Answer → @",
    "The final answer is **@**.",
    "I think the answer is @.",
    "So my answer would be @.",
    "The answer is thus @.",
    "### Final Answer: @",
    "> **Answer:** @",
    "@ is the answer.",
    "The answer to the question is @.",
    "the answer is @",
    "Final Answer is @.",
    "Final answer:\n\n@",
    "Answer:\n@",
    "The correct answer: @",
    "The answer should be @.",
    "Hence, the answer must be @.",
]
CHOICE = [
    "The answer must be (@).",
    "Correct option: @",
    "So the right answer is (@).",
    "Thus the correct choice is (@).",
    "We therefore choose (@).",
    "Answer: **@**",
    "Answer: option @",
    "The correct answer is (@): see above.",
    "Final answer: **@. Something**",
    "(@) is correct.",
    "The best choice is (@).",
    "Answer: @. Something else",
    "\\boxed{\\text{@. Something}}",
    "$\\boxed{\\mathbf{@}}$",
    "\\fbox{@}",
    "The answer is \\boxed{@}.",
    "So it's @.",
    "It must be (@).",
    "Hence (@).",
    "Ans: (@)",
    "The answer is therefore **(@)**",
    "That makes @ the correct answer.",
    "So the answer would be choice @.",
    "**Answer**: @",
    "### Answer: @",
    "→ **@**",
    "@) Something",
    "I select (@).",
    "Our answer is @.",
    "The correct statement is (@).",
]
LOWER_CHOICE = ["the answer is @", "answer: (@)", "correct option: @)"]
SENTENCES = [
    "So, in total, there are @.",
    "Therefore, she has @ remaining.",
    "Thus, it equals @.",
    "So the total cost is @.",
    "Hence, the result is @.",
]
MATH_SENTENCES = [
    "So the value is $@$.",
    "Hence, the sum is $@$.",
    "Thus we have\n\\[ @. \\]",
    "Therefore, the maximum is $@$.",
    "It follows that the result is $@$.",
]
LANGUAGES = ["Por tanto, la respuesta es @.", "因此答案是 @。", "Also ist die Antwort @.", "Donc la réponse est @."]
BOX_LISTS = ["The values are $\\boxed{A}$ and $\\boxed{B}$.", "$\\boxed{A}$ or $\\boxed{B}$"]
MATH_REASONING = [
    "Okay, so the problem gives {a} and {b}. Let me work through it slowly.",
    "Let's define $f(n) = {a}n + {b}$. Then $f({c}) = {s}$ for some values.",
    "- There are {a} red ones.\n- There are {b} blue ones.\n- Altogether {s} so far, but some are lost.",
    "Hmm, is it {a}? Let me double-check: {a} + {b} = {s}. That does not match.",
    "Using the identity, $\\frac{{{a}}}{{{b}}} \\cdot {b} = {a}$.",
    "We know that ${a}^2 + {b}^2$ is needed, so we keep it for later.",
    "It costs ${a} per unit plus a fee of ${b}.",
    "$$\\begin{aligned} u &= {a} \\\\ v &= {b} \\end{aligned}$$\nSubstituting both, we simplify.",
    "The discriminant is ${a}$, hence there are two cases.",
    "Case 1: $x > {a}$. Case 2: $x \\le {a}$. The first is empty.",
    "(Here I use that {a} is even and {b} is odd.)",
    "So far we have {a}. But the question asks for something else.",
]
CHOICE_REASONING = [
    "Looking at choice (A), it ignores friction; choice (D) does not.",
    "Let's evaluate each option.\n\n**A**: plausible.\n**B**: unlikely.\n**C**: plausible.",
    "Both A and C seem plausible at first glance.",
    "The phrase in option B is a common misconception.",
    "Options (B) and (D) contradict each other, so at least one is wrong.",
    "In group I elements, the charge is {a}. In group II it is {b}.",
    "Point A lies {a} m from point B.",
    "If D were true, then {a} > {b} would follow.",
]
TEXT_REASONING = [
    "Okay, let me recall what I know about this.",
    "Some sources disagree, but most textbooks are clear.",
    "In {a} AD things were different.",
    "- First clue: it is old.\n- Second clue: it is large.",
]
WRONG_MATH = [
    "The answer is {a}. Hold on, I forgot a term.",
    "Initially I got {a}, but that was a mistake.",
    "So the answer would be {a}... no, wait.",
    "Is the answer {a}? No, it cannot be.",
]
WRONG_CHOICE = [
    "I initially leaned towards {L}.",
    "The answer might be {L}, but let me check.",
    "Is it {L}? Let me double-check.",
]
WRONG_TEXT = ["Hmm, let me double-check that.", "Actually, let me reconsider."]
CLOSING = ["", "", "", "", "\n\nFeel free to ask if anything is unclear.", "\n\nHope that helps!", "<|endoftext|>"]
SAID_CLOSING = [
    "",
    "",
    "",
    "\n\nThanks for the question!",
    "\n\nVerification: everything fits, because the",
    "\n\nWould you like a more detailed explanation?",
]
NO_ANSWER = [
    "",
    "I'm not certain about this one.",
    "Unable to determine.",
    "I give up.",
    "Could you clarify the question?",
    "There is not enough information to solve this problem.",
    "<think>\nOkay, {a} and {b}. Hmm, maybe {s}? Wait,",
    "The final answer is:",
    "**Final Answer:**",
    "Final Answer: $\\boxed{{",
    "\\boxed{{\\,}}",
    "Let's solve this problem. We need",
    "My apologies, I made an error in step {a}.",
]
CUT = [
    "Adding {a} to both sides gives",
    "But then {a} would have to",
    "Since the total is {s}, each",
    "which is",
    "so that $x = ",
    "It follows that",
    "Hence we have \\[ x =",
    " The answer is therefore",
    "So the final answer is $",
    "\\boxed{{\\frac{{{a}}}{{",
]
