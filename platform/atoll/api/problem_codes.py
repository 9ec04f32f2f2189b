"""Every problem code that the API or the gateway answers with: what it means, why it usually comes, and
what to do. The page /docs/problems shows it; docs/reference/problems.md names the same codes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProblemCode:
    """One code. `status` is the HTTP status, or several; `who` can fix it, as `who_can_fix` says."""

    code: str
    status: str
    who: str
    meaning: str
    cause: str
    way_out: str


_AGAIN = "Wait a moment and repeat the request; Retry-After says how long."

PROBLEM_CODES = tuple(
    ProblemCode(*texts)
    for texts in (
        (
            "ambiguous", "409", "you",
            "Several Ray clusters of the virtual cluster have a job of this name.",
            "The same job name was submitted to two Ray clusters.",
            "Say which Ray cluster is meant: ?cluster=<name>.",
        ),
        (
            "bad_path", "422", "you",
            "A path into a virtual cluster hides where it leads.",
            "Dots, doubled slashes or encoded slashes in the path, often from joining URLs.",
            "Send the plain path, as kubectl and Ray do.",
        ),
        (
            "bad_request", "400, 415", "you",
            "The request cannot be read.",
            "The body is no JSON, or its Content-Type is another one.",
            "Send JSON with Content-Type application/json; PATCH takes application/merge-patch+json too.",
        ),
        (
            "confirmation_needed", "409", "you",
            "More is taken than the new limits allow; `preview` says what and by how much.",
            "A team's limit is to be lowered below what its virtual clusters hold, a virtual cluster's below "
            "what it uses, or a confirmed preview got worse.",
            "Choose higher limits, or repeat with ?confirm= and the `confirm` of the preview.",
        ),
        (
            "conflict", "409", "you",
            "The state of things does not allow the change.",
            "Something else has to happen or to go first; `detail` names it.",
            "Do what `detail` says, then repeat.",
        ),
        (
            "cross_site", "403", "you",
            "A changing request with the portal's cookie, or a sign-in, came from another site.",
            "A form or script of another page sent it, or the portal is reached by two addresses.",
            "Repeat it from the portal's own page; programs send a bearer token instead of the cookie.",
        ),
        (
            "deleting", "409", "you",
            "A virtual cluster of this name is being deleted.",
            "Deletion takes down everything in it first, which takes a while.",
            "Follow its operation or events until it is gone; or take another name.",
        ),
        (
            "exists", "409", "you",
            "The name is taken.",
            "An earlier request made it, perhaps one whose answer was lost.",
            "Take another name or PATCH the one there is; an Idempotency-Key makes repeats safe.",
        ),
        (
            "forbidden", "403", "team owner, admin",
            "You are known and lack the right.",
            "Your role in the team, or on the host, does not include this.",
            "Ask the one whom `who_can_fix` names.",
        ),
        (
            "gateway_unavailable", "503", "nobody",
            "The gateway into virtual clusters does not answer.",
            "It is being restarted, or it is down; GET /v1/health says which.",
            _AGAIN,
        ),
        (
            "idempotency_mismatch", "422", "you",
            "This Idempotency-Key was used with another body in the last 24 hours.",
            "A client reuses one key for different requests.",
            "Repeat exactly the first body, or take a new key for a new request.",
        ),
        (
            "in_use", "409", "you",
            "Others still depend on it: the answer lists them.",
            "A team has virtual clusters or teams below it, or a profile has users that could not follow.",
            "Move or delete what is listed first; for a profile make another one or go step by step.",
        ),
        (
            "internal", "500", "admin",
            "A fault of ours.",
            "Something that nobody thought of.",
            "Give an admin the `request_id`: the log has the rest under it.",
        ),
        (
            "invalid", "422", "you",
            "The request breaks a rule.",
            "A field is missing, misspelt, out of range, or does not fit another one.",
            "`errors` names every field by a JSON pointer, with what is wrong and the limit: correct them.",
        ),
        (
            "kept_by_spec", "409", "you",
            "The virtual cluster's own spec keeps this Ray cluster.",
            "It stands in spec.rayClusters, so it would be made again or changed back.",
            "Change spec.rayClusters of the virtual cluster.",
        ),
        (
            "method_not_allowed", "405", "you",
            "The route does not know the method.",
            "A wrong verb, or a path with one part too many.",
            "The header Allow, and /docs, say which methods there are.",
        ),
        (
            "not_found", "404", "you",
            "There is no such object, or you may not see it.",
            "A misspelt name, another team's object, or one that was deleted.",
            "List what there is, and check the name and the team.",
        ),
        (
            "not_implemented", "501", "you",
            "Commands and port-forwards into a virtual cluster pass over WebSockets alone.",
            "kubectl older than 1.31, or a proxy on the way that stops upgrades.",
            "Use kubectl 1.31 or newer, and let WebSockets through.",
        ),
        (
            "not_ready", "409", "you, nobody",
            "The virtual cluster, the Ray cluster or the job has not come so far.",
            "It was made a moment ago, or one of its steps waits or fails; `detail` names the step.",
            "Look at its steps; wait when it is on its way, mend what the step asks for otherwise.",
        ),
        (
            "permanent", "500", "you, team owner, admin",
            "In an operation's `error`: a step cannot go on until somebody changes something.",
            "A wish that the host, the quota or a chart refuses.",
            "Do what the message says; the operation goes on by itself.",
        ),
        (
            "precondition_failed", "412", "you",
            "If-Match names another revision than the stored one.",
            "Somebody changed it after you read it.",
            "GET it again, look at what changed, and repeat with the new ETag.",
        ),
        (
            "precondition_required", "428", "you",
            "PATCH and DELETE need If-Match (of a Ray cluster it may be left out).",
            "The header is missing.",
            "Send the ETag of your last GET, or `*` to write over any revision.",
        ),
        (
            "quota_exceeded", "409", "admin",
            "More was asked than the team's quota leaves.",
            "Other virtual clusters of the team hold the rest; `shortages` has every number.",
            "Ask for less, make another one smaller, or have an admin raise the quota.",
        ),
        (
            "ray_error", "503", "nobody",
            "Ray's head answered with an error of its own, in its words.",
            "Ray is starting, overloaded, or hit a fault.",
            "Look at the head's log: GET …/ray-clusters/<name>/logs; then repeat.",
        ),
        (
            "request_closed", "409", "you",
            "The quota request is not open any more.",
            "It was decided, it has expired, or the team has as much already.",
            "Make a new request, or set the team's quota itself.",
        ),
        (
            "stale_write", "409", "you",
            "Somebody else wrote first.",
            "Two changes of one object at the same moment.",
            "Read it again and repeat.",
        ),
        (
            "stopping", "409", "you",
            "The Ray job was told to stop and has not ended.",
            "Its processes take their time to end.",
            "Delete it again in a moment.",
        ),
        (
            "stored_invalid", "409", "admin",
            "What is stored breaks its own rules.",
            "Somebody wrote it past the API, with kubectl.",
            "Mend the field that `detail` names with `kubectl edit`.",
        ),
        (
            "team_tree_broken", "409", "admin",
            "The parents of the team cannot be followed to a root; `detail` names the place.",
            "A parent was deleted or set past the API, or the parents go in a circle or too deep.",
            "Make the missing team, or give the team another parent.",
        ),
        (
            "too_large", "413", "you",
            "The body has more bytes than are read here; `limit` and `size` say how many.",
            "Files or data inside a request that is meant for descriptions.",
            "Send less; send files to a Ray cluster as a package, through its proxy path.",
        ),
        (
            "unauthenticated", "401", "you",
            "No token came with the request, or one that is not known.",
            "The token was left out, cut off, or replaced since.",
            "Send `Authorization: Bearer <token>`, run `atoll login`, or sign in to the portal.",
        ),
        (
            "unavailable", "503", "nobody",
            "A part that is needed does not answer.",
            "Kubernetes or a virtual cluster's API server is being restarted; GET /v1/health says which.",
            _AGAIN,
        ),
    )
)  # fmt: skip
