{
  "targets": [
    {
      "target_name": "weft",
      "sources": [
        "<!@(node -p \"const fs=require('fs');['native/addon','native/engine'].flatMap(d=>fs.readdirSync(d).filter(f=>f.endsWith('.cc')).map(f=>d+'/'+f)).sort().join(' ')\")"
      ],
      "include_dirs": [
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      # the last: a doorbell that rings while its Worker is being ended finds no JavaScript to throw into
      "defines": [
        "NAPI_VERSION=9",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
      # -iquote: quoted includes look there, <...> never does; -Wno-restrict: false alarms of GCC 12
      "cflags_cc": ["-iquote", "<(module_root_dir)/native/engine", "-std=c++20", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-restrict", "-fno-exceptions"],
      "ldflags": ["-Wl,--as-needed", "-Wl,-z,relro,-z,now"],
      "libraries": ["-ldl", "-lpthread"]
    }
  ]
}
