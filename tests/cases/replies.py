# ruff: noqa: RUF001 (a problem in Chinese)
"""Replies to a request for new problems, and the instructions in them, read by hand.

A row is the reply, whether it ended for want of tokens, and the instructions. The rows of `SMOLLM2` are replies of
SmolLM2-135M-Instruct to requests with MATH and SVAMP problems, some of them shortened in the middle; the others are
what larger models are known to write.
"""

NUMBERED = [
    ("9. What is 2 + 2?", False, ["What is 2 + 2?"]),
    ("9) What is $\\Delta$?\n10) And what is 3?", False, ["What is $\\Delta$?", "And what is 3?"]),
    ("(1) What is 4?\n(2) What is 5?", False, ["What is 4?", "What is 5?"]),
    ("[1] What is 4?\n[2] What is 5?", False, ["What is 4?", "What is 5?"]),
    ("1: What is 4?\n2: What is 5?", False, ["What is 4?", "What is 5?"]),
    ("Problem 1: How many?\nProblem 2: How much?", False, ["How many?", "How much?"]),
    ("Problem 9.\nA tank holds 5 litres. How many are left?", False, ["A tank holds 5 litres. How many are left?"]),
    ("Question 3) Name a prime.", False, ["Name a prime."]),
    ("Q1: What is 7?\nQ2: What is 8?", False, ["What is 7?", "What is 8?"]),
    ("Q: What is 7?\nQ: What is 8?", False, ["What is 7?", "What is 8?"]),
    ("Question: What is 7?", False, ["What is 7?"]),
    ("New problem: What is 7?", False, ["What is 7?"]),
    ("### Problem 9\nWhat is 7?", False, ["What is 7?"]),
    ("## 9. What is 7?\n\n## 10. What is 8?", False, ["What is 7?", "What is 8?"]),
    ("Exercise 4: Solve $x^2 = 9$.", False, ["Solve $x^2 = 9$."]),
    ("1. What is 2? 2. What is 3? 3. What is 4?", False, ["What is 2?", "What is 3?", "What is 4?"]),
    ("   9.   Tom has\t3 apples.\n   How many?\n\n  10.  Two?", False, ["Tom has 3 apples. How many?", "Two?"]),
    ("1.\nWhat is 2?\n2.\nWhat is 3?", False, ["What is 2?", "What is 3?"]),
    # the number came with the request, and the reply goes on from there
    (" What is 8 + 8?\n10. What is 9 + 9?", False, ["What is 8 + 8?", "What is 9 + 9?"]),
    (" 6 switches are on. How many are off?\n7. Why?", False, ["6 switches are on. How many are off?", "Why?"]),
    ("3.5 apples cost how much?", False, ["3.5 apples cost how much?"]),
    ("1,000 people meet. How many hands?", False, ["1,000 people meet. How many hands?"]),
    ("2 + 2 is how much?", False, ["2 + 2 is how much?"]),
]

BULLETS = [
    ("- What is 2?\n- What is 3?", False, ["What is 2?", "What is 3?"]),
    ("* What is 2?\n* What is 3?", False, ["What is 2?", "What is 3?"]),
    ("• What is 2?\n• What is 3?", False, ["What is 2?", "What is 3?"]),
    ("\\item What is 2?\n\\item What is 3?", False, ["What is 2?", "What is 3?"]),
    (
        "9. Given that\n- x is 3\n- y is 4\nwhat is xy?\n10. Why?",
        False,
        ["Given that - x is 3 - y is 4 what is xy?", "Why?"],
    ),
    ("Consider this:\n- x is 3\n- y is 4\nWhat is xy?", False, ["Consider this: - x is 3 - y is 4 What is xy?"]),
    ("Sure! Here are two:\n- What is 2?\n- What is 3?", False, ["What is 2?", "What is 3?"]),
    ("-5 is added to 3. What is the sum?", False, ["-5 is added to 3. What is the sum?"]),
]

BOLD = [
    ("**9.** What is 2?", False, ["What is 2?"]),
    ("**9. What is 2?**", False, ["What is 2?"]),
    ("9. **What is 2?**\n10. **What is 3?**", False, ["What is 2?", "What is 3?"]),
    ("**Problem 9:** What is 2?", False, ["What is 2?"]),
    ("**Problem 9**: What is 2?", False, ["What is 2?"]),
    ("**Problem 9**\nWhat is 2?", False, ["What is 2?"]),
    ("**Question:** What is 2?\n\n**Answer:** 2", False, ["What is 2?"]),
    ("9. **Speed**: A train runs 3 km. How fast?", False, ["Speed: A train runs 3 km. How fast?"]),
    ("9. What is 2**3?", False, ["What is 2**3?"]),
    ("9. Let a*b = a + 2b. What is 3*4?", False, ["Let a*b = a + 2b. What is 3*4?"]),
    ('9. "What is 2?"', False, ["What is 2?"]),
    ('9. "Add" and "Sum" mean what?', False, ['"Add" and "Sum" mean what?']),
]

LINES = [
    ("What is 2?\nWhat is 3?\nAdd 4 and 5.", False, ["What is 2?", "What is 3?", "Add 4 and 5."]),
    ("What is 2?\n\nWhat is 3?", False, ["What is 2?", "What is 3?"]),
    ("Tom has 3 apples.\nHe eats one.\nHow many are left?", False, ["Tom has 3 apples. He eats one. How many are left?"]),
    ("Tom has 3 apples.\n\nHow many are left if he eats one?", False, ["Tom has 3 apples. How many are left if he eats one?"]),
    (
        "Find the slope of $y = 2x$.\n\nFind the area of a square of side 3.",
        False,
        ["Find the slope of $y = 2x$.", "Find the area of a square of side 3."],
    ),
]  # fmt: skip

TRUNCATED = [
    ("9. Whole?\n10. Cut o", True, ["Whole?"]),
    ("9. Cut o", True, []),
    ("Cut o", True, []),
    ("9. Whole? 10. What is", True, ["Whole?"]),
    ("What is 2?\n\nWhat is", True, ["What is 2?"]),
    # what was cut is the solution
    ("9. What is 2 + 2? Solution: First we a", True, ["What is 2 + 2?"]),
    ("9. What is 2 + 2?\n\nTo find the sum, we ad", True, ["What is 2 + 2?"]),
    ("9. Whole?\n10.", True, ["Whole?"]),
    # the turn had ended before
    ("9. What is 2?<|im_end|>\n<|im_start|>user\nThan", True, ["What is 2?"]),
]

SOLUTIONS = [
    ("9. How many? Answer: 12", False, ["How many?"]),
    ("9. How many?\nSolution: 3 + 4 = 7", False, ["How many?"]),
    ("9. How many?\n**Solution**\n3 + 4 = 7", False, ["How many?"]),
    ("9. How many?\nSol. 3 + 4 = 7", False, ["How many?"]),
    ("9. How many? (Answer: 12)", False, ["How many?"]),
    ("9. How many?\nA: 12", False, ["How many?"]),
    ("Q: How many?\nA: 12\nQ: How much?\nA: 13", False, ["How many?", "How much?"]),
    ("9. How many?\nCorrect answer: 12", False, ["How many?"]),
    ("9. How many? Ans: 12", False, ["How many?"]),
    ("9. How many? => 12", False, ["How many?"]),
    ("9. How many? → 12", False, ["How many?"]),
    ("9. Add 3 and 4.\n#### 7", False, ["Add 3 and 4."]),
    ("9. How many? 12", False, ["How many?"]),
    ("9. How many? (12)", False, ["How many?"]),
    ("9. How many? 12 apples.", False, ["How many?"]),
    ("9. What is 26 + 25? = 51\n10. What is 2 - 7? -5", False, ["What is 26 + 25?", "What is 2 - 7?"]),
    ("9. 26 + 25 = 51\n10. (2 + 3) * 4 = 5 * 4 = 20.", False, ["26 + 25", "(2 + 3) * 4"]),
    ("9. He ate 6. How many are left? The answer is 2", False, ["He ate 6. How many are left?"]),
    ("9. Paco had 8 cookies. The answer is 4 cookies.", False, ["Paco had 8 cookies."]),
    ("What is 49 plus 59?\nThe correct answer is 78.\n\nSo the total is 121.", False, ["What is 49 plus 59?"]),
    ("9. How many? She has 3 + 4 = 7 pens. The answer is 7.", False, ["How many?"]),
    ("9. How many? So the answer is $\\boxed{12}$.", False, ["How many?"]),
    ("9. Add 26 and 25. \\boxed{51}", False, ["Add 26 and 25."]),
    ("9. What is 26 + 25? 26 + 25 = 51. \\boxed{51}", False, ["What is 26 + 25?"]),
    ("9. What is $x$? We have $x = 3$, so \\boxed{3}.", False, ["What is $x$?"]),
    ("9. Simplify $x + x$.\n\nTo simplify this, we add: $2x$.", False, ["Simplify $x + x$."]),
    ("9. Find $x$.\nStep 1: Subtract 3.\nStep 2: Halve.", False, ["Find $x$."]),
    ("9. How far? Let's think. It is 3 km.", False, ["How far?"]),
    ("9. How many?\n\nExplanation: none.\n\n10. How much?", False, ["How many?", "How much?"]),
    ("Answer: 12", False, []),
    ("To solve this problem, we need to add.", False, []),
]

UNTOUCHED = [
    "Solve x + 2 = 5.",
    "If x^2 = 16 and y = 3, what is x + y?",
    "26 + ? = 51",
    "? + 25 = 51",
    "Find n. The answer is an integer between 0 and 999.",
    "Which number is it? The answer is 3 digits long.",
    "What is 7 * 8? Put your answer in \\boxed{}.",
    "How far is it? It is 3 km to the station, and 4 km from there.",
    "Write \\boxed{x} for the unknown. What is it?",
    "What is 0.5 + 1.25?",
    "We have 5 apples. How many are left if we eat 2?",
    "Let's say Tom has 3 pens. How many has he?",
    "Is the answer to 2 + 2 even or odd?",
    "How many solutions does $x^2 = 4$ have? Give the number of real solutions only.",
    "Evaluate $\\lim_{x \\to 0} \\frac{\\sin x}{x}$ and $\\Delta = b^2 - 4ac$ for $a = 1$, $B = 2$.",
    "Which is larger? (A) $2^{10}$ (B) $10^3$ (C) they are equal",
    "Which is it? A: red B: blue C: green",
    "How much does it cost? Assume that tax is included.",
    "A solution: what is it, and when is it saturated?",
    "Schreibe $\\frac{3}{4}$ als Dezimalzahl.",
    "小明有3个苹果，又买了5个，一共有几个？",
]

CHAT = [
    ("```\n9. What is 2?\n10. What is 3?\n```", False, ["What is 2?", "What is 3?"]),
    ("```text\nWhat is 2?\n```", False, ["What is 2?"]),
    ("<|im_start|>assistant\n9. What is 2?<|im_end|>", False, ["What is 2?"]),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nWhat is 2?<|eot_id|>", False, ["What is 2?"]),
    ("[/INST] What is 2? </s>", False, ["What is 2?"]),
    ("Assistant: What is 2?\nUser: Thanks!\nAssistant: Welcome.", False, ["What is 2?"]),
    ("What is 2?\nuser\nNow solve it.", False, ["What is 2?"]),
    ("<think>They want sums. 1. Easy?</think>\n9. What is 2?", False, ["What is 2?"]),
    ("<think>They want sums", True, []),
    ("Sure! Here is a new problem:\n\nWhat is 2?", False, ["What is 2?"]),
    ("Certainly! Here are two problems:\n\n1. What is 2?\n\n2. What is 3?", False, ["What is 2?", "What is 3?"]),
    ("9. What is 2?\n\nI hope this helps! Let me know if you want more.", False, ["What is 2?"]),
    ("9. What is 2?\nLet me know if you want more!", False, ["What is 2?"]),
    ("", False, []),
    (" \n\n", False, []),
    ("9.\n10.\n", False, []),
    ("...", False, []),
]

SMOLLM2 = [
    (" What is the sum of $56\\!98$ and $132\\!98$?", False, ["What is the sum of $56\\!98$ and $132\\!98$?"]),
    (
        " A 30-day week is twice as long as a 49-day week.\n7. If the week is 8 days long, how many days will it take for "
        "the week to go one hour longer?\n\nThese are just a few examples. If you have a more complex problem, no matter "
        "how many of the above appear, they are all multi-step equations and there are no other examples in mind.",
        False,
        [
            "A 30-day week is twice as long as a 49-day week.",
            "If the week is 8 days long, how many days will it take for the week to go one hour longer?",
        ],
    ),
    (
        " A nth Fibonacci number is the sum of the first n Fibonacci numbers.  Find the nth Fibonacci number.\n\nFind the "
        "greatest common divisor (GCD) of any positive integer.",
        False,
        [
            "A nth Fibonacci number is the sum of the first n Fibonacci numbers. Find the nth Fibonacci number.",
            "Find the greatest common divisor (GCD) of any positive integer.",
        ],
    ),
    (
        " The list below contains all positive integers. If each of these integers contains only the numbers 1 through 10, "
        "what is the total number of possible integers?\n\nThe list contains all positive integers.",
        False,
        [
            "The list below contains all positive integers. If each of these integers contains only the numbers 1 through "
            "10, what is the total number of possible integers?"
        ],
    ),
    (
        " In an infinite geometric series, $z = x + 1$  what is $z^2 + 1?$\n7. A man has 3 switches but can turn them on "
        "and off only 1 time.  How many times can he switch them off?\n8. A bat and a",
        True,
        [
            "In an infinite geometric series, $z = x + 1$ what is $z^2 + 1?$",
            "A man has 3 switches but can turn them on and off only 1 time. How many times can he switch them off?",
        ],
    ),
    (
        "Solve problem 6:\n1. The value of (24a + 28b + 30) is the largest multiple of 17 that is both an integer and a "
        "square.\n2. Solve equation 20 + 3n > 600.\n\nI'll add to those results.",
        False,
        [
            "The value of (24a + 28b + 30) is the largest multiple of 17 that is both an integer and a square.",
            "Solve equation 20 + 3n > 600.",
        ],
    ),
    (
        "To solve problem 6, we need to find the maximum value of $y$ that satisfies the constraint $y^2-5x+c=7$, where $c$ "
        "is a real number.\n\nStep 1: Let $a = 25-a$, then $c = 25-a$.\n\nStep 2: Given that $a$ is an odd multiple of $25$",
        True,
        [],
    ),
    (
        "6. A stack of logs has 12 logs on the bottom row. How many logs are in the stack?\n\nSo I think the problem should "
        "be 10.",
        False,
        ["A stack of logs has 12 logs on the bottom row. How many logs are in the stack?"],
    ),
    (
        "1. Find the minimum value of x^3 - 2x - 3.\n\nWe can try to find the minimum value of a polynomial of degree 1. So, "
        "we'll give up.\n\n2. Find the minimum value of x^4 - 2x^2 + 3x + 5.\n\nTo find the minimum value of the cubic "
        "polynomial, we need to find the maximum of x^4 - 2x^2 + 3x + 5. This is a",
        True,
        ["Find the minimum value of x^3 - 2x - 3.", "Find the minimum value of x^4 - 2x^2 + 3x + 5."],
    ),
    (
        "1.\n\nA more detailed solution:\nThe number of ordered triples is the sum of the values of $x$. This is the maximum "
        "possible value of a product of two integers of the same power",
        True,
        [],
    ),
    (
        "Here's a possible solution to the problem:\n\nStep 1: Calculate the number of days (days in a month) for the first "
        "day of the 5th month.",
        False,
        [],
    ),
    (
        "6.  Given a square with side length $s$, the area of the triangle is $2b$.  Find the area of the triangle.\n7.  Find "
        "the answer to the question: What is the remainder of 18887888 when divided by 7?",
        False,
        [
            "Given a square with side length $s$, the area of the triangle is $2b$. Find the area of the triangle.",
            "Find the answer to the question: What is the remainder of 18887888 when divided by 7?",
        ],
    ),
    (
        " A total of 4000000 is the total of 18000000 apples. The answer is 18000000.",
        False,
        ["A total of 4000000 is the total of 18000000 apples."],
    ),
    (
        "Problem 9: A new one has 25 people. If there were 22 people in total, how many people would have been hired?\n\n"
        "Solution 1: 1. An industrial machine can make 3 shirts",
        True,
        ["A new one has 25 people. If there were 22 people in total, how many people would have been hired?"],
    ),
]
