"""The camera's shaders. Light is baked or computed at vertices; a fragment only gets its colour through the haze.

The second output carries the instance id and the bits of the depth in metres, for a whole-number picture whose
multisample resolve picks one sample and never mixes two.
"""

from __future__ import annotations

_FRAGMENT_HEAD = """
#version 330
uniform vec3 haze_colour;
uniform float haze_per_m;
layout(location = 0) out vec4 colour_out;
layout(location = 1) out uvec2 label_out;
vec3 hazed(vec3 colour) {
    // 1 / gl_FragCoord.w is the depth along the optical axis.
    float thickness = 1.0 - exp2(-haze_per_m / gl_FragCoord.w);
    return mix(colour, haze_colour, thickness);
}
"""

SKY_VERTEX = """
#version 330
uniform mat4 view_projection;
uniform vec3 eye;
in vec3 in_position;
in vec3 in_colour;
out vec3 colour;
void main() {
    colour = in_colour;
    vec3 place = in_position;
    // Its foot is where the ground ends: the far plane, seen from the eye's height.
    if (place.z < 0.0) place.z = -eye.z * 100.0 / 300.0;
    gl_Position = view_projection * vec4(place + eye, 1.0);
}
"""

SKY_FRAGMENT = """
#version 330
in vec3 colour;
layout(location = 0) out vec4 colour_out;
layout(location = 1) out uvec2 label_out;
void main() {
    colour_out = vec4(colour, 1.0);
    label_out = uvec2(0u, 0x7f800000u);
}
"""

GROUND_VERTEX = """
#version 330
uniform mat4 view_projection;
uniform vec2 offset;
uniform vec2 half_size_px;
uniform vec3 under;
in vec2 in_position;
in vec2 in_sideways;
in vec3 in_colour;
out vec3 colour;
void main() {
    vec2 middle = in_position + offset;
    vec4 centre = view_projection * vec4(middle, 0.0, 1.0);
    vec4 edge = view_projection * vec4(middle + in_sideways, 0.0, 1.0);
    colour = in_colour;
    if (in_sideways != vec2(0.0) && centre.w > 2.0 && edge.w > 2.0) {
        // A line is at least a pixel wide and pales instead of breaking up: no flicker without multisampling.
        float half_px = length((edge.xy / edge.w - centre.xy / centre.w) * half_size_px);
        float grown = clamp(0.5 / max(half_px, 1e-4), 1.0, 40.0);
        edge = view_projection * vec4(middle + in_sideways * grown, 0.0, 1.0);
        colour = mix(under, in_colour, inversesqrt(grown));
    }
    gl_Position = edge;
}
"""

GROUND_FRAGMENT = (
    _FRAGMENT_HEAD
    + """
in vec3 colour;
void main() {
    colour_out = vec4(hazed(colour), 1.0);
    label_out = uvec2(0u, floatBitsToUint(1.0 / gl_FragCoord.w));
}
"""
)

SOLID_VERTEX = """
#version 330
uniform mat4 view_projection;
in vec3 in_position;
in vec3 in_colour;
in vec3 in_picture;
out vec3 colour;
out vec3 picture;
void main() {
    colour = in_colour;
    picture = in_picture;
    gl_Position = view_projection * vec4(in_position, 1.0);
}
"""

SOLID_FRAGMENT = (
    _FRAGMENT_HEAD
    + """
uniform sampler2DArray pictures;
in vec3 colour;
in vec3 picture;
void main() {
    colour_out = vec4(hazed(colour * texture(pictures, picture).rgb), 1.0);
    label_out = uvec2(0u, floatBitsToUint(1.0 / gl_FragCoord.w));
}
"""
)

ACTOR_VERTEX = """
#version 330
uniform mat4 view_projection;
uniform vec3 sun;
uniform vec2 light;  // ambient, sunlight
in vec3 in_position;
in vec3 in_normal;
in vec3 in_colour;
in vec2 in_finish;  // paint, glow
in vec4 at_pose;    // x, y, cos yaw, sin yaw
in vec4 at_scale;   // length, width, height over the mesh's own; 1 where it brakes
in vec4 at_paint;   // colour, instance id
out vec3 colour;
flat out uint id;
vec2 turned(vec2 v) {
    return vec2(at_pose.z * v.x - at_pose.w * v.y, at_pose.w * v.x + at_pose.z * v.y);
}
void main() {
    vec3 placed = in_position * at_scale.xyz;
    placed.xy = turned(placed.xy) + at_pose.xy;
    vec3 normal = vec3(turned(in_normal.xy), in_normal.z);
    float shade = light.x + light.y * max(dot(normal, sun), 0.0);
    vec3 own = mix(in_colour, at_paint.rgb, in_finish.x) * shade;
    float brakes = in_finish.y > 0.5 && in_finish.y < 1.5 ? at_scale.w : 0.0;
    own = mix(own, vec3(1.0, 0.06, 0.03), brakes);
    colour = in_finish.y > 1.5 ? in_colour : own;
    id = uint(at_paint.a + 0.5);
    gl_Position = view_projection * vec4(placed, 1.0);
}
"""

ACTOR_FRAGMENT = (
    _FRAGMENT_HEAD
    + """
in vec3 colour;
flat in uint id;
void main() {
    colour_out = vec4(hazed(colour), 1.0);
    label_out = uvec2(id, floatBitsToUint(1.0 / gl_FragCoord.w));
}
"""
)

LAMP_VERTEX = """
#version 330
uniform mat4 view_projection;
uniform vec3 eye;
uniform vec2 focal_px;  // focal length; smallest radius a lit lamp is drawn at
in vec2 in_outline;
in vec4 at_lamp;        // x, y, z, yaw
in vec4 at_light;       // colour, radius in metres
out vec3 colour;
void main() {
    // A lit lamp glares: however far, it covers a few pixels, as in a real camera.
    float distance_m = length(at_lamp.xyz - eye);
    float radius = max(at_light.a, min(focal_px.y * distance_m / focal_px.x, 2.4 * at_light.a));
    vec3 front = vec3(cos(at_lamp.w), sin(at_lamp.w), 0.0);
    vec3 right = vec3(-front.y, front.x, 0.0);
    vec3 placed = at_lamp.xyz + radius * (right * in_outline.x + vec3(0.0, 0.0, in_outline.y));
    // Nearer by a little, so that the glare is not cut by its own board.
    placed += normalize(eye - placed) * 0.3;
    colour = at_light.rgb;
    gl_Position = view_projection * vec4(placed, 1.0);
}
"""

LAMP_FRAGMENT = """
#version 330
in vec3 colour;
layout(location = 0) out vec4 colour_out;
layout(location = 1) out uvec2 label_out;
void main() {
    colour_out = vec4(colour, 1.0);
    label_out = uvec2(0u, floatBitsToUint(1.0 / gl_FragCoord.w));
}
"""
