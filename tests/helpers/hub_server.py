"""A Hub on the loopback: what huggingface_hub's real client needs to create, push to, list and read repositories."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import yaml


TOKEN = "hf_write"
USER = "me"
TEXT_SUFFIXES = (".json", ".jsonl", ".md", ".txt", ".jinja", ".yaml")  # regular files there; all others go through LFS
REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass
class Repo:
    """A repository: its commits, from the first to the last, each a message and all files."""

    commits: list = field(default_factory=lambda: [("initial commit", {})])

    @property
    def files(self):
        return self.commits[-1][1]

    @property
    def messages(self):
        return [message for message, _ in self.commits]

    def at(self, revision):
        """Sha and files of a revision, a sha or the branch; None where there is none."""
        shas = [hashlib.sha1(repr((i, message)).encode()).hexdigest() for i, (message, _) in enumerate(self.commits)]
        if revision == "main":
            return shas[-1], self.files
        return (revision, self.commits[shas.index(revision)][1]) if revision in shas else None


class HubServer(ThreadingHTTPServer):
    """
    Repositories by type and id ("models", "me/name"), in memory, at `url`.

    `failures` maps a regular expression, which a request such as "PUT /me/name/lfs/..." (with the beginning of its body) is
    searched for, to the status that is answered in place of the right one (0: the connection is cut), and how many times.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos, self.blobs, self.failures, self.requests = {}, {}, {}, []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def failure(self, line):
        with self.lock:
            self.requests.append(line)
            for pattern, (status, times) in self.failures.items():
                if times and re.search(pattern, line):
                    self.failures[pattern] = (status, times - 1)
                    return status
        return None


class Handler(BaseHTTPRequestHandler):
    """Reads every request's body to its end and gives every answer a length, lest a kept connection hang."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer_request(self):
        self.url_path = unquote(urlsplit(self.path).path)
        body = self.body()
        status = self.server.failure(f"{self.command} {self.url_path} {body[:200]!r}")
        if status == 0:
            self.close_connection = True
            return
        if status is not None:
            self.answer(status, {"error": f"made to fail with {status}"})
            return
        for methods, pattern, name in ROUTES:
            match = re.fullmatch(pattern, self.url_path)
            if self.command in methods.split() and match:
                if self.command in ("POST", "PUT") and name != "upload" and not self.is_authorized():
                    self.answer(401, {"error": "Invalid username or password."})
                else:
                    with self.server.lock:
                        getattr(self, name)(body, **{k: v for k, v in match.groupdict().items() if v is not None})
                return
        self.answer(404, {"error": f"no route {self.command} {self.url_path}"})

    do_GET = do_HEAD = do_POST = do_PUT = answer_request  # noqa: N815

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def answer(self, status, content, **headers):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def is_authorized(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def found(self, kind, repo, revision="main"):
        """Sha and files of a revision, or None once the answer that there is none has been given."""
        repo = self.server.repos.get((kind, repo))
        at = repo and repo.at(revision)
        if at is None:
            self.answer(404, {"error": "not found"}, X_Error_Code="RevisionNotFound" if repo else "RepoNotFound")
        return at

    # What the client asks for -----------------------------------------------------------------------------------------

    def whoami(self, body):
        if self.is_authorized():
            self.answer(200, {"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": "write"}}})
        else:
            self.answer(401, {"error": "Invalid username or password."})

    def create(self, body):
        given = json.loads(body)
        repo, kind = f"{given.get('organization') or USER}/{given['name']}", f"{given.get('type') or 'model'}s"
        is_new = (kind, repo) not in self.server.repos
        self.server.repos.setdefault((kind, repo), Repo())
        url = f"{self.server.url}/{'' if kind == 'models' else kind + '/'}{repo}"
        self.answer(200 if is_new else 409, {"url": url, "name": repo})

    def validate_yaml(self, body):
        errors = card_errors(json.loads(body)["content"])
        self.answer(400 if errors else 200, {"errors": errors, "warnings": []})

    def preupload(self, body, kind, repo, revision):
        if self.found(kind, repo, revision):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "regular" if file["path"].endswith(TEXT_SUFFIXES) else "lfs",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})

    def lfs_batch(self, body, repo, kind="models"):
        objects = [
            item
            if item["oid"] in self.server.blobs
            else {**item, "actions": {"upload": {"href": f"{self.server.url}/{repo}/lfs/{item['oid']}"}}}
            for item in json.loads(body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def upload(self, body, repo, oid):
        if hashlib.sha256(body).hexdigest() == oid:
            self.server.blobs[oid] = body
            self.answer(200, {})
        else:
            self.answer(400, {"error": f"{len(body)} bytes that are not {oid}"})

    def commit(self, body, kind, repo, revision):
        if self.found(kind, repo, revision) is None:
            return
        header, *operations = [json.loads(line) for line in body.splitlines()]
        files = dict(self.server.repos[kind, repo].files)
        for operation in operations:
            value, path = operation["value"], operation["value"]["path"]
            if operation["key"] == "file":
                files[path] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[path] = self.server.blobs.get(value["oid"])
            else:
                files = {
                    name: data for name, data in files.items() if name != path and not name.startswith(path + "/")
                }
        errors = [path for path, data in files.items() if data is None] or card_errors(
            files.get("README.md", b"").decode()
        )
        if errors:
            self.answer(400, {"error": f"Invalid metadata in README.md, or files that were not uploaded: {errors}"})
            return
        self.server.repos[kind, repo].commits.append((header["value"]["summary"], files))
        sha = self.server.repos[kind, repo].at("main")[0]
        prefix = "" if kind == "models" else f"{kind}/"
        self.answer(
            200, {"success": True, "commitOid": sha, "commitUrl": f"{self.server.url}/{prefix}{repo}/commit/{sha}"}
        )

    def info(self, body, kind, repo, revision="main"):
        if (at := self.found(kind, repo, revision)) is not None:
            sha, files = at
            card = front_matter(files.get("README.md", b"").decode()) or {}
            siblings = [{"rfilename": path} for path in files]
            described = {"id": repo, "modelId": repo, "sha": sha, "siblings": siblings, "cardData": card}
            self.answer(200, {**described, "private": False, "tags": card.get("tags", [])})

    def tree(self, body, kind, repo, revision, folder=None):
        if (at := self.found(kind, repo, revision)) is not None:
            prefix = f"{folder}/" if folder else ""
            inside = {path: data for path, data in at[1].items() if path.startswith(prefix)}
            if folder and not inside:
                self.answer(404, {"error": "no such folder"}, X_Error_Code="EntryNotFound")
                return
            entries = [{"type": "file", "path": p, "size": len(d), "oid": blob_id(d)} for p, d in inside.items()]
            parents = {str(parent) for path in inside for parent in PurePosixPath(path).parents} - {".", folder}
            entries += [{"type": "directory", "path": p, "oid": blob_id(p.encode())} for p in sorted(parents)]
            is_deep = "recursive=true" in self.path.lower()
            self.answer(200, [e for e in entries if is_deep or "/" not in e["path"].removeprefix(prefix)])

    def resolve(self, body, repo, revision, path, kind="models"):
        if (at := self.found(kind, repo, revision)) is None:
            return
        sha, files = at
        if path in files:
            self.answer(200, files[path], ETag=f'"{blob_id(files[path])}"', X_Repo_Commit=sha)
        else:
            self.answer(404, {"error": "no such file"}, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)


_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_API = rf"/api/(?P<kind>models|datasets)/{_REPO}"
ROUTES = [
    ("GET", "/api/whoami-v2", "whoami"),
    ("POST", "/api/repos/create", "create"),
    ("POST", "/api/validate-yaml", "validate_yaml"),
    ("POST", rf"{_API}/preupload/(?P<revision>.+)", "preupload"),
    ("POST", rf"{_API}/commit/(?P<revision>.+)", "commit"),
    ("POST", rf"/((?P<kind>datasets)/)?{_REPO}\.git/info/lfs/objects/batch", "lfs_batch"),
    ("PUT", rf"/{_REPO}/lfs/(?P<oid>\w+)", "upload"),
    ("GET", rf"{_API}(/revision/(?P<revision>[^/]+))?", "info"),
    ("GET", rf"{_API}/tree/(?P<revision>[^/]+)(/(?P<folder>.+))?", "tree"),
    ("GET HEAD", rf"/((?P<kind>datasets)/)?{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "resolve"),
]


def blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def front_matter(card):
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    return yaml.safe_load(match[1]) if match else None


def card_errors(card):
    """What the Hub has against the metadata of a card: it refuses the commit."""
    data = front_matter(card) or {}
    bases = data.get("base_model", [])
    names = [*(bases if isinstance(bases, list) else [bases]), *data.get("datasets", [])]
    return [{"message": f"{name!r} is no id of the Hub"} for name in names if not REPO_ID.fullmatch(name)]
