# Rooms: a folder, one target, and the rooms it stands on. An include of anything else fails the build.

define_property(GLOBAL PROPERTY ESPALIER_ROOMS BRIEF_DOCS "names of all rooms, in order" FULL_DOCS "")

# espalier_room(<name> [STANDS_ON <rooms>...] [LIBRARIES <targets>...])
# Called from the room's folder. Makes the target espalier_<name> of every .cpp below the folder; main.cpp is
# left to a program. A room without sources is an INTERFACE library.
function(espalier_room name)
  cmake_parse_arguments(room "" "" "STANDS_ON;LIBRARIES" ${ARGN})
  set(target espalier_${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "*.cpp")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "*.h" "*.inc")
  set(main_source "${CMAKE_CURRENT_SOURCE_DIR}/main.cpp")
  set(checked ${sources} ${headers})
  list(REMOVE_ITEM sources "${main_source}")

  if(sources)
    add_library(${target} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
  target_compile_features(${target} ${scope} cxx_std_20)
  foreach(below IN LISTS room_STANDS_ON)
    target_link_libraries(${target} ${scope} espalier_${below})
  endforeach()
  target_link_libraries(${target} ${scope} ${room_LIBRARIES})
  set_property(TARGET ${target} PROPERTY EXPORT_NAME ${name})
  add_library(espalier::${name} ALIAS ${target})
  if(NOT name STREQUAL "tools")
    install(TARGETS ${target} EXPORT espalier ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  endif()
  espalier_vector_sources("${sources}")

  # What it stands on, and what those stand on.
  set(closure ${room_STANDS_ON})
  foreach(below IN LISTS room_STANDS_ON)
    get_property(more GLOBAL PROPERTY ESPALIER_CLOSURE_${below})
    list(APPEND closure ${more})
  endforeach()
  list(REMOVE_DUPLICATES closure)
  set_property(GLOBAL PROPERTY ESPALIER_CLOSURE_${name} "${closure}")
  set_property(GLOBAL APPEND PROPERTY ESPALIER_ROOMS ${name})
  espalier_check_includes(${name} "${closure}" "${checked}")
  if(sources)
    add_dependencies(${target} ${name}_includes)
  endif()
endfunction()

# Vector loops are built once per instruction set and chosen at start; nothing else has a -m flag.
function(espalier_vector_sources sources)
  # clang warns of each loop that the sanitizers, or a branch in it, keep from becoming vector code: no fault.
  set(loops "-O3;-fno-math-errno;-fno-trapping-math;$<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>")
  foreach(source IN LISTS sources)
    if(source MATCHES "_avx2\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${loops};-mavx2;-mfma;-mf16c")
    elseif(source MATCHES "_baseline\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${loops}")
    elseif(source MATCHES "_avx512\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "${loops};-mprefer-vector-width=512;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mfma;-mf16c")
    endif()
  endforeach()
endfunction()

# The build step <room>_includes, renewed when a file of the room changed.
function(espalier_check_includes name allowed files)
  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${name}.includes")
  set(list_file "${CMAKE_CURRENT_BINARY_DIR}/${name}.files")
  string(REPLACE ";" "\n" lines "${files}")
  file(CONFIGURE OUTPUT "${list_file}" CONTENT "${lines}" @ONLY)
  set(script "${PROJECT_SOURCE_DIR}/tools/cmake/check_includes.cmake")
  string(REPLACE ";" "," allowed "${allowed}")
  add_custom_command(OUTPUT "${stamp}"
    COMMAND "${CMAKE_COMMAND}" -D "ROOM=${name}" -D "ALLOWED=${allowed}" -D "FILES=${list_file}"
            -D "ROOT=${PROJECT_SOURCE_DIR}" -D "STAMP=${stamp}" -P "${script}"
    DEPENDS "${script}" "${list_file}" ${files}
    COMMENT "Checking the includes of ${name}" VERBATIM)
  add_custom_target(${name}_includes ALL DEPENDS "${stamp}")
endfunction()

function(espalier_summary)
  get_property(rooms GLOBAL PROPERTY ESPALIER_ROOMS)
  list(JOIN rooms " " rooms)
  list(JOIN ESPALIER_LIBRARIES_FOUND ", " libraries)
  message(STATUS "espalier ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
  message(STATUS "  rooms:     ${rooms}")
  message(STATUS "  libraries: ${libraries}")
  if(ESPALIER_TESTS)
    message(STATUS "  conformance cases: ${ESPALIER_ONNX_TESTDATA}")
    foreach(optional rapidcheck benchmark)
      if(NOT ${optional}_FOUND)
        message(STATUS "  not found: ${optional} (the tests that need it are not built)")
      endif()
    endforeach()
  endif()
endfunction()
